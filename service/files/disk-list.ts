/** One directory's names with a look at each, in parts: made by a worker, which leaves some of the looks to the thread that asked. */
import { lstatSync, readdirSync } from "node:fs";

import { codeOf, faultOf, statOf } from "./disk-fault.ts";
import { LOOKED, STAT_NUMBERS, type ListReply, type ListRequest, type WorkerFault } from "./disk-message.ts";
import { putStat } from "./hash-files.ts";

/** Names per part: the main thread takes each in about a millisecond. */
const PART_NAMES = 1_024;

type Looks = Pick<ListReply, "kinds" | "stats">;

/** Sends the parts in the order of the directory, which the disk answers a little faster than any other; the last one has no more. */
export function listAll({ path, wanted }: ListRequest, send: (part: ListReply) => void): void {
  const end = (fault: WorkerFault | null): void =>
    send({ kind: "list", names: "", ...looksAt(path, []), looked: true, more: false, fault });
  const part = (names: readonly string[]): void => {
    const looked = !isWanted(wanted);
    send({ kind: "list", names: names.join("/"), ...looksAt(path, looked ? names : []), looked, more: true, fault: null });
  };
  try {
    // Between the look and the listing a directory may have become a symlink (CT10): what it leads to is not ours.
    if (!lstatSync(path).isDirectory()) return end({ fault: "symlink", code: "ELOOP" });
    for (const names of namesOf(path)) part(names);
  } catch (error) {
    return end({ fault: faultOf(error), code: codeOf(error) ?? String(error) });
  }
  end(null);
}

/** Looks at all of these names of a directory. Never throws. */
function looksAt(path: string, names: readonly string[]): Looks {
  const looks = { kinds: new Uint8Array(names.length), stats: new Float64Array(names.length * STAT_NUMBERS) };
  for (const [index, name] of names.entries()) lookInto(`${path}/${name}`, looks, index);
  return looks;
}

/** Puts what stands at `path` into the place `index`. Never throws. */
export function lookInto(path: string, { kinds, stats }: Looks, index: number): void {
  kinds[index] = LOOKED.gone;
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return;
    const stat = statOf(found);
    putStat(stats, index, stat);
    kinds[index] = LOOKED[stat.kind];
  } catch {
    // Whether it went or refused does not matter: it is unknown in both cases.
  }
}

/**
 * Names only: entries read one by one come with their kinds, for which Node looks at each where the file system does not say them, and throws
 * where one went meanwhile: a folder in use would then pass for one that can't be listed.
 */
function* namesOf(path: string): Generator<readonly string[], void> {
  const names = readdirSync(path);
  for (let at = 0; at < names.length; at += PART_NAMES) yield names.slice(at, at + PART_NAMES);
}

/** Takes one of the parts that the other thread asks for. */
function isWanted(wanted: Int32Array<SharedArrayBuffer>): boolean {
  if (Atomics.sub(wanted, 0, 1) > 0) return true;
  Atomics.add(wanted, 0, 1);
  return false;
}
