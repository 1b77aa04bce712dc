/** Small sequences over the `Disk` port that apply and the version store share. */
import type { Entry, Stat } from "../core/model.ts";
import { DiskError, type Disk, type DiskFault, type Expected, type Random } from "../core/ports.ts";

/** Each byte in two digits: a temporary file is named for each that is fetched, and the language's own way takes ten times as long. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** 128 bits: never met twice. */
export function randomName(random: Random): string {
  let name = "";
  for (let part = 0; part < 4; part += 1) {
    const bits = random.u32();
    for (let shift = 24; shift >= 0; shift -= 8) name += HEX[(bits >>> shift) & 0xff] ?? "";
  }
  return name;
}

export function isFault(error: unknown, ...faults: readonly DiskFault[]): error is DiskError {
  return error instanceof DiskError && faults.includes(error.fault);
}

/** @throws DiskError for every other reason than that nothing is there. */
export async function unlinkIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if (!isFault(error, "notFound", "notDirectory")) throw error;
  }
}

/** All of them, side by side; the first error is thrown only when every one has ended, so nothing goes on behind the caller's back. */
export async function forAll<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const settled = await Promise.allSettled(items.map(work));
  return settled.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
}

/** Runs work in the order in which it was asked for, one at a time; what fails does not hold up the next. */
export function openQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return async (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return await mine;
  };
}

/** The file is the one that was hashed, as far as a stat can tell. A link made to it meanwhile changes its ctime: then `ctime` is false. */
export function isSameFile(stat: Stat, entry: Pick<Entry, "sizeBytes" | "mtimeNs" | "ctimeNs" | "fileId">, ctime: boolean): boolean {
  return (
    stat.kind === "file" &&
    stat.sizeBytes === entry.sizeBytes &&
    stat.mtimeNs === entry.mtimeNs &&
    stat.fileId === entry.fileId &&
    (!ctime || stat.ctimeNs === entry.ctimeNs)
  );
}

/** FAT keeps even seconds; every other disk of today is finer than a tick of the kernel's clock. */
const TICK_NS = 20e6;
const FAT_TICK_NS = 2e9;

/** For `Disk.replaceIf`: the same question as `isSameFile` asks. */
export function expectedOf(entry: Entry | null, ctime: boolean): Expected | null {
  if (entry === null) return null;
  const { sizeBytes, mtimeNs, fileId, ctimeNs } = entry;
  return { sizeBytes, mtimeNs, fileId, ctimeNs: ctime ? ctimeNs : null };
}

/** What stands there (null: nothing) is what was expected. */
export function isAsExpected(stat: Stat | null, expected: Expected | null): boolean {
  if (stat === null || expected === null) return stat === expected;
  return isSameFile(stat, { ...expected, ctimeNs: expected.ctimeNs ?? stat.ctimeNs }, true);
}

/** Another write could hide behind these times: the file was changed within one tick of its clock before it was looked at. Asks ctime,
 * which no program can set; a file from the future is looked at each time, for nothing can be told of it. */
export function isRacy(stat: Pick<Stat, "ctimeNs">, wallMs: number): boolean {
  const tickNs = stat.ctimeNs % FAT_TICK_NS === 0 ? FAT_TICK_NS : TICK_NS;
  return stat.ctimeNs + tickNs > wallMs * 1e6;
}
