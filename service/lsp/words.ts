/** What the language server says by itself, in the editor's language: English, and German where the editor asks for it. Causes are the service's (`notes/knowledge.ts`). */
import type { Problem, RunSummary } from "../core/model.ts";
import type { EngineError } from "../engine/errors.ts";
import { deletionOf, sizeText, timeText, type Deletion } from "../notes/knowledge.ts";
import type { Looked } from "./diagnostics.ts";
import { PROBLEM, REFUSAL, RUN_FAULT } from "./german.ts";

type Missing = Pick<Looked, "facts" | "knowledge">;

export type Words = {
  readonly size: (bytes: number) => string;
  /** How the file stands, and why. */
  readonly sentence: (looked: Missing) => string;
  readonly fetch: (name: string) => string;
  readonly restore: (name: string, size: string, time: string) => string;
  readonly changeLink: (path: string) => string;
  readonly updateAll: (name: string) => string;
  readonly changed: (time: string) => string;
  readonly kept: (size: string, time: string) => string;
  readonly remoteOnly: string;
  readonly renamed: (from: string, to: string) => string;
  readonly renamedMany: (files: number) => string;
  readonly question: (what: string, links: number, notes: number) => string;
  readonly follow: string;
  readonly leave: string;
  readonly linksTo: (name: string) => string;
  readonly notFetched: (name: string, why: string) => string;
  readonly refused: (why: string) => string;
  /** Why a run failed; null: it did not. */
  readonly failed: (run: Pick<RunSummary, "error" | "fault">) => string | null;
  readonly refusal: (error: EngineError) => string;
};

const counted = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`;

const ENGLISH: Words = {
  size: sizeText,
  sentence: ({ knowledge }) => knowledge.sentence,
  fetch: (name) => `Fetch ${name} now`,
  restore: (name, size, time) => `Restore ${name} (${size}, kept on ${time})`,
  changeLink: (path) => `Change the link to ${path}`,
  updateAll: (name) => `Update all links to ${name}`,
  changed: (time) => `changed ${time}`,
  kept: (size, time) => `Kept: ${size} from ${time}.`,
  remoteOnly: "on the remote only",
  renamed: (from, to) => `${from} was renamed to ${to}.`,
  renamedMany: (files) => `${files} media files were renamed.`,
  question: (what, links, notes) => `${what} Update ${counted(links, "link", "links")} in ${counted(notes, "note", "notes")}?`,
  follow: "Update links",
  leave: "Leave them",
  linksTo: (name) => `Links to ${name}`,
  notFetched: (name, why) => `${name} was not fetched. ${why}`,
  refused: (why) => `The links were not changed: the editor refused the edit${why}. Try again.`,
  failed: ({ error }) => error,
  refusal: ({ message }) => message,
};

const germanSize = (bytes: number): string => sizeText(bytes).replace(".", ",");

const GERMAN: Words = {
  size: germanSize,
  sentence: germanSentence,
  fetch: (name) => `${name} jetzt holen`,
  restore: (name, size, time) => `${name} wiederherstellen (${size}, aufgehoben am ${time})`,
  changeLink: (path) => `Verweis auf ${path} ändern`,
  updateAll: (name) => `Alle Verweise auf ${name} nachziehen`,
  changed: (time) => `geändert ${time}`,
  kept: (size, time) => `Aufgehoben: ${size} vom ${time}.`,
  remoteOnly: "nur auf dem Server",
  renamed: (from, to) => `${from} heißt jetzt ${to}.`,
  renamedMany: (files) => `${files} Mediendateien haben neue Namen.`,
  question: (what, links, notes) => `${what} ${counted(links, "Verweis", "Verweise")} in ${counted(notes, "Notiz", "Notizen")} nachziehen?`,
  follow: "Verweise nachziehen",
  leave: "So lassen",
  linksTo: (name) => `Verweise auf ${name}`,
  notFetched: (name, why) => `${name} wurde nicht geholt. ${why}`,
  refused: (why) => `Die Verweise blieben, wie sie waren: Der Editor lehnte die Änderung ab${why}. Versuche es noch einmal.`,
  failed: ({ error, fault }) => (fault === null ? error : RUN_FAULT[fault]),
  refusal: ({ fault }) => REFUSAL[fault],
};

/** As much as the service's own says: names, sizes, rules, devices and dates. */
function germanSentence({ facts, knowledge: { cause } }: Missing): string {
  const { path, synced, movedTo, problems, ignoredBy, conflicts, remote, entry } = facts;
  const size = (bytes: number | null | undefined): string => (bytes === null || bytes === undefined ? "" : ` (${germanSize(bytes)})`);
  switch (cause) {
    case "present":
      return synced ? "abgeglichen" : "noch nicht abgeglichen";
    case "conflict":
      return `${path} wurde auf zwei Geräten geändert; ${otherOf(conflicts)}. Wähle eine aus.`;
    case "ignoredHere":
      return `${path} steht nur auf diesem Gerät: ${ruleOf(ignoredBy)} lässt es aus.`;
    case "tooLargeHere":
      return `Andere Geräte bekommen ${path} nicht: Es ist zu groß${size(entry?.sizeBytes)}.`;
    case "troubleHere":
      return `Andere Geräte bekommen ${path} nicht.${problemOf(problems, "local")}`;
    case "remote":
      return `${path} ist auf dem Server${size(remote?.sizeBytes)} und noch nicht geholt.`;
    case "remoteTrouble":
      return `${path} ist auf dem Server und kann nicht geholt werden.${problemOf(problems, "remote")}`;
    case "tooLarge":
      return `${path} ist auf dem Server und für dieses Gerät zu groß${size(remote?.sizeBytes)}.`;
    case "renamed":
      return `${path} ist nicht mehr hier: Dieselbe Datei heißt jetzt ${movedTo ?? "anders"}.`;
    case "deleted":
      return `${path} wurde ${wasDeleted(deletionOf(facts))}.${facts.versions.length > 0 ? " Der Inhalt ist aufgehoben." : ""}`;
    case "ignored":
      return `${path} ist nicht hier: ${ruleOf(ignoredBy)} lässt es aus, darum wird es auch nicht geholt.`;
    case "never":
      return `${path} war noch nie da, weder hier noch auf dem Server.`;
  }
}

function ruleOf(ignoredBy: string | null): string {
  return ignoredBy === null ? "Eine Regel" : `Die Regel ${ignoredBy}`;
}

function otherOf([conflict]: Missing["facts"]["conflicts"]): string {
  const copy = conflict?.copyPath ?? null;
  return copy === null ? "beide Fassungen sind aufgehoben" : `die andere Fassung steht daneben als ${copy}`;
}

function wasDeleted(deletion: Deletion | null): string {
  if (deletion === null) return "gelöscht";
  const when = deletion.atMs === null ? "" : `am ${timeText(deletion.atMs)} `;
  switch (deletion.where) {
    case "here":
      return `${when}auf diesem Gerät gelöscht`;
    case "command":
      return `${when}von einem Befehl auf diesem Gerät gelöscht`;
    case "rebuild":
      return `gelöscht, während der Stand verloren war, spätestens ${when.trimEnd()}`;
    case "told":
      return `${when}${deletion.by === null ? "auf einem anderen Gerät" : `von ${deletion.by}`} gelöscht`;
    case "elsewhere":
      return `auf einem anderen Gerät gelöscht${when === "" ? "" : `; hier kam das ${when.trimEnd()} an`}`;
  }
}

/** As the cause was found: what is wrong here counts before what is wrong there. */
function problemOf(problems: readonly Problem[], side: Problem["side"]): string {
  const problem = problems.find((one) => one.side === side) ?? problems[0];
  return problem === undefined ? "" : ` ${PROBLEM[problem.reason]}`;
}

/** `locale`: BCP 47, as the editor tells it. */
export function wordsOf(locale: string | undefined): Words {
  return /^de\b/i.test(locale ?? "") ? GERMAN : ENGLISH;
}
