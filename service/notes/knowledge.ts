/** What is known about a file that a note names, and what to say where it is missing. Pure: facts in, one cause and one sentence out. */
import type { Change, Conflict, Problem, Sha1, Version } from "../core/model.ts";
import type { Author } from "../core/ports.ts";

/** Everything the service knows about one path. */
export type MediaFacts = {
  readonly folder: string;
  readonly path: string;
  /** Absolute. */
  readonly diskPath: string;
  /** As last observed; null: not seen there. */
  readonly entry: { readonly sizeBytes: number; readonly sha1: Sha1; readonly mtimeMs: number } | null;
  /** Agreed with the remote as it stands. */
  readonly synced: boolean;
  /** null: no row; `sha1` null: deleted there. */
  readonly remote: { readonly sha1: Sha1 | null; readonly sizeBytes: number | null; readonly deleted: Author | null } | null;
  readonly ignoredBy: string | null;
  readonly problems: readonly Problem[];
  /** Newest first. */
  readonly changes: readonly Change[];
  /** Newest first. */
  readonly versions: readonly Version[];
  /** Unresolved ones. */
  readonly conflicts: readonly Conflict[];
  /** Another path that now holds the bytes which last stood here; null: none. */
  readonly movedTo: string | null;
};

export type Cause =
  | "present"
  /** There are two, and somebody has to choose. */
  | "conflict"
  /** It stands here, but no other device will get it. */
  | "ignoredHere"
  | "tooLargeHere"
  | "troubleHere"
  /** It is missing here, because … */
  | "remote"
  | "remoteTrouble"
  | "tooLarge"
  | "renamed"
  | "deleted"
  | "ignored"
  | "never";

export type Knowledge = {
  readonly cause: Cause;
  readonly missing: boolean;
  /** For people, without a full stop where it is the name of a state. */
  readonly sentence: string;
  /** Kept bytes that `versions/restore` would put back; null: none, or nothing is missing. */
  readonly restorable: Version | null;
};

/** `onDisk`: something stands at the path right now, whatever was observed. */
export function knowledgeOf(facts: MediaFacts, onDisk: boolean): Knowledge {
  const [cause, sentence] = onDisk || stands(facts) ? here(facts) : gone(facts);
  const missing = MISSING.has(cause);
  const kept = missing ? facts.versions.find(({ why }) => why !== "fetched" && why !== "restored") : undefined;
  return { cause, sentence, missing, restorable: kept ?? null };
}

const MISSING: ReadonlySet<Cause> = new Set<Cause>(["remote", "remoteTrouble", "tooLarge", "renamed", "deleted", "ignored", "never"]);

function stands({ entry, problems }: MediaFacts): boolean {
  return entry !== null || problems.some(({ side, reason }) => side === "local" && reason !== "unsettled");
}

type Verdict = readonly [cause: Cause, sentence: string];

function here(facts: MediaFacts): Verdict {
  const { path, ignoredBy, problems, conflicts } = facts;
  const [conflict] = conflicts;
  if (conflict !== undefined) {
    const other =
      conflict.copyPath === null ? "the other bytes are kept as a version" : `the other one stands beside it as ${conflict.copyPath}`;
    return ["conflict", `${path} was changed on two devices; ${other}. Choose with \`satchel conflicts resolve ${conflict.id}\`.`];
  }
  if (ignoredBy !== null) return ["ignoredHere", `${path} stands only on this device: it is left alone by ${ignoredBy}.`];
  const problem = problems.find(({ side }) => side === "local") ?? problems[0];
  if (problem === undefined) return ["present", facts.synced ? "in sync" : "not yet in sync"];
  const cause = problem.reason === "tooLarge" || problem.reason === "tooLargeThere" ? "tooLargeHere" : "troubleHere";
  return [cause, `Other devices don't get ${path}. ${problem.detail}`];
}

function gone(facts: MediaFacts): Verdict {
  const { path, ignoredBy, remote, problems, movedTo } = facts;
  if (ignoredBy !== null) return ["ignored", `${path} is not here: it is left alone by ${ignoredBy}, so it is not fetched either.`];
  if (remote !== null && remote.sha1 !== null) {
    const problem = problems.find(({ side }) => side === "remote");
    if (problem !== undefined)
      return [
        problem.reason === "tooLargeThere" ? "tooLarge" : "remoteTrouble",
        `${path} is on the remote and can't be fetched. ${problem.detail}`,
      ];
    const size = remote.sizeBytes === null ? "" : ` (${sizeText(remote.sizeBytes)})`;
    return ["remote", `${path} is on the remote${size} and not fetched yet.`];
  }
  if (movedTo !== null) return ["renamed", `${path} is not here any more: the same file is now ${movedTo}.`];
  return goneForGood(facts);
}

function goneForGood(facts: MediaFacts): Verdict {
  const deletion = deletionOf(facts);
  if (deletion === null) return ["never", `${facts.path} has never been seen, neither here nor on the remote.`];
  return ["deleted", `${facts.path} was deleted ${howDeleted(deletion)}.${facts.versions.length > 0 ? " Its bytes are kept." : ""}`];
}

/** `where`: where it was done, as far as anybody tells. `atMs`: when; of `elsewhere`, when it arrived here, or null where it only did there. */
export type Deletion =
  | { readonly where: "here" | "command" | "rebuild"; readonly atMs: number }
  /** `by`: the device; null: not known (any more). */
  | { readonly where: "told"; readonly by: string | null; readonly atMs: number }
  | { readonly where: "elsewhere"; readonly atMs: number | null };

/** Who deleted a file that stands nowhere, and when; null: nobody ever saw one. */
export function deletionOf({ remote, changes: [newest] }: Pick<MediaFacts, "remote" | "changes">): Deletion | null {
  const removed = newest?.kind === "remove" ? newest : null;
  if (removed !== null && removed.origin !== "apply") return { where: WHERE[removed.origin], atMs: removed.atMs };
  const told = remote?.deleted ?? null;
  if (told !== null) return { where: "told", by: told.by, atMs: told.atMs };
  return removed === null && remote === null ? null : { where: "elsewhere", atMs: removed?.atMs ?? null };
}

const WHERE = { user: "here", restore: "command", rebuild: "rebuild" } as const satisfies Readonly<
  Record<Exclude<Change["origin"], "apply">, Deletion["where"]>
>;

/** What a front end needs to say the sentence of missing media in another language. Null where it has nothing to do with it, or nobody knows. */
export type MissingFacts = {
  /** Of the remote's file. */
  readonly sizeBytes: number | null;
  readonly renamedTo: string | null;
  readonly ignoredBy: string | null;
  /** Why it can't be fetched. */
  readonly problem: Problem["reason"] | null;
  readonly deletion: { readonly where: Deletion["where"]; readonly by: string | null; readonly atMs: number | null } | null;
  /** The bytes that `versions/restore` would put back. */
  readonly kept: { readonly sha1: Sha1; readonly sizeBytes: number; readonly atMs: number } | null;
};

/** The data behind `knowledge.sentence`: only what belongs to its cause. */
export function missingFactsOf(facts: MediaFacts, { cause, restorable }: Knowledge): MissingFacts {
  const onRemote = facts.remote !== null && facts.remote.sha1 !== null;
  const problem = facts.problems.find(({ side }) => side === "remote");
  const deletion = cause === "deleted" ? deletionOf(facts) : null;
  return {
    sizeBytes: onRemote ? (facts.remote?.sizeBytes ?? null) : null,
    renamedTo: cause === "renamed" ? facts.movedTo : null,
    ignoredBy: cause === "ignored" ? facts.ignoredBy : null,
    problem: cause === "remoteTrouble" || cause === "tooLarge" ? (problem?.reason ?? null) : null,
    deletion: deletion === null ? null : { ...deletion, by: deletion.where === "told" ? deletion.by : null },
    kept: restorable === null ? null : { sha1: restorable.sha1, sizeBytes: restorable.sizeBytes, atMs: restorable.atMs },
  };
}

function howDeleted(deletion: Deletion): string {
  const when = deletion.atMs === null ? "" : ` on ${timeText(deletion.atMs)}`;
  switch (deletion.where) {
    case "here":
      return `on this device${when}`;
    case "command":
      return `by a command of Satchel on this device${when}`;
    case "rebuild":
      return `while the state was lost, at the latest${when}`;
    case "told":
      return `${deletion.by === null ? "on another device" : `by ${deletion.by}`}${when}`;
    case "elsewhere":
      return `on another device${when === "" ? "" : `; that arrived here${when}`}`;
  }
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

export function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power] ?? "B"}`;
}

/** Local time, to the minute. */
export function timeText(atMs: number): string {
  const date = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
