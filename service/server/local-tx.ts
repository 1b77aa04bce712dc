import type { Sha1 } from "../core/model.ts";
import type { Entry, Renumbered, Sender, Sent } from "../core/server-rows.ts";
import { epochOf, type LocalContext } from "./local-context.ts";
import type { Given, Writing } from "./local-writing.ts";
import type { AccountTx, Change } from "./storage.ts";

/** What one change of an account in a directory may ask and do. */
export function txOf({ rows, clock, secrets }: LocalContext, { files }: Change, writing: Writing): AccountTx {
  const soon = async <T>(value: T): Promise<T> => await Promise.resolve(value);
  const asked = async <T>(read: () => T): Promise<T> => {
    writing.settle();
    return await soon(read());
  };
  const bytes = new Map(files.map((file) => [file.sha1, file.bytes]));
  const given: Given = (sha1: Sha1) => bytes.get(sha1) ?? null;
  /** No twin is touched, and nothing can be missing: then it is known what the write does without doing it. */
  const isPlain = (entries: readonly Entry[]): boolean =>
    !rows.meets(entries.map(({ name }) => name)) && entries.every(({ real, sha1 }) => !real || sha1 === null || bytes.has(sha1));
  return {
    state: async () => await asked(() => rows.state()),
    rows: async (names) =>
      await asked(() => {
        const found = new Map<string, NonNullable<ReturnType<typeof rows.row>>>();
        for (const name of names) {
          const row = rows.row(name);
          if (row !== undefined) found.set(name, row);
        }
        return found;
      }),
    feed: async (usn, limit, bornAt) => await asked(() => rows.feed(usn, limit, bornAt)),
    write: async (entries, sender) => {
      const atMs = clock.wallMs();
      const step = { kind: "write", entries, sender, atMs } as const;
      if (isPlain(entries)) {
        writing.later(step, entries, given);
        return await soon([]);
      }
      writing.now(step, given);
      const { entries: freed, told } = renumbered(rows);
      if (freed.length > 0) writing.now({ kind: "write", entries: freed, sender: TWINS, atMs }, given);
      return await soon(told);
    },
    // A write that waits touches none.
    shadows: async () => await soon(rows.shadows()),
    log: async (usn) => await asked(() => rows.log(usn)),
    uploads: async (usns) =>
      await asked(() => {
        const sent = usns.flatMap((usn): (readonly [number, Sent])[] => {
          const found = rows.upload(usn);
          return found === undefined ? [] : [[usn, found]];
        });
        return new Map(sent);
      }),
    // What is remembered of devices stands apart from the rows.
    memory: async (device) => await soon(rows.memory(device)),
    remember: async (device, memory) => await soon(writing.beside({ kind: "remember", device, memory })),
    memories: async () => await soon(rows.memories()),
    newEpoch: async () => await soon(writing.now({ kind: "epoch", epoch: epochOf(secrets) }, given)),
    versions: async (name) => await asked(() => rows.versions(name)),
  };
}

/** Nobody's key: to every device the new number is somebody else's change. */
const TWINS: Sender = { device: "server", session: "twins" };

/** Shadows whose leader went, with a number that no device has passed. */
function renumbered(rows: LocalContext["rows"]): { readonly entries: readonly Entry[]; readonly told: readonly Renumbered[] } {
  const { top } = rows.state();
  const freed = rows.freed().flatMap((name) => rows.row(name) ?? []);
  return {
    entries: freed.map((row, at) => ({ ...row, usn: top + 1 + at, real: true })),
    told: freed.map(({ name, usn }, at) => ({ name, from: usn, to: top + 1 + at })),
  };
}
