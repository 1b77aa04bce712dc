import { createHash } from "node:crypto";
import { readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

const sha1 = (bytes: Uint8Array): string => createHash("sha1").update(bytes).digest("hex");

/** Every regular file below `folder` with its hash; Satchel's own directory left out. */
function hashesBelow(folder: string): readonly (readonly [name: string, sha1: string])[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !path.relative(folder, file).startsWith(".satchel"))
    .map((file) => [path.relative(folder, file), sha1(readFileSync(file))] as const);
}

/** What the users of two folders did, kept where the product never looks. A save that read another version before it replaces that one on purpose. */
export type Ledger = {
  save(folder: string, name: string, bytes: Uint8Array): void;
  remove(folder: string, name: string): void;
  readonly saves: number;
  /**
   * Versions that nobody replaced or deleted knowingly must stand in every folder, under whatever name; those of names that only one
   * folder ever wrote, under their own. `stores`: where bytes may still be recovered from. Returns what is wrong, in words.
   */
  judge(folders: readonly string[], stores: readonly string[]): { readonly wrong: readonly string[]; readonly onlyRecoverable: number };
};

export function openLedger(scratch: string): Ledger {
  /** By hash: where it was made, and whether a user knowingly ended it. */
  const versions = new Map<string, { readonly folder: string; readonly name: string; ended: boolean }>();
  /** By name: the folders that wrote it, and what the last of them left there (null: removed). */
  const owners = new Map<string, { readonly folders: Set<string>; last: string | null }>();
  let saves = 0;

  /** What the user saw there a moment before acting. */
  function endCurrent(file: string): void {
    let seen: Buffer;
    try {
      seen = readFileSync(file);
    } catch {
      return; // nothing there to end
    }
    const version = versions.get(sha1(seen));
    if (version !== undefined) version.ended = true;
  }

  function own(folder: string, name: string, last: string | null): void {
    const found = owners.get(name) ?? { folders: new Set<string>(), last };
    found.folders.add(folder);
    found.last = last;
    owners.set(name, found);
  }

  return {
    save(folder, name, bytes) {
      const temp = path.join(scratch, `saving-${String(++saves)}`);
      writeFileSync(temp, bytes);
      endCurrent(path.join(folder, name));
      renameSync(temp, path.join(folder, name));
      versions.set(sha1(bytes), { folder, name, ended: false });
      own(folder, name, sha1(bytes));
    },
    remove(folder, name) {
      endCurrent(path.join(folder, name));
      unlinkSync(path.join(folder, name));
      own(folder, name, null);
    },
    get saves() {
      return saves;
    },
    judge(folders, stores) {
      const wrong: string[] = [];
      const trees = folders.map((folder) => new Map(hashesBelow(folder)));
      const standing = trees.map((tree) => new Set(tree.values()));
      const kept = new Set(stores.flatMap((store) => hashesBelow(store).map(([, hash]) => hash)));
      let onlyRecoverable = 0;
      for (const [hash, { name, ended }] of versions) {
        if (ended || standing.every((set) => set.has(hash))) continue;
        if (kept.has(hash)) onlyRecoverable++;
        else wrong.push(`${name}: version ${hash} is lost`);
      }
      for (const [name, { folders: writers, last }] of owners) {
        if (writers.size > 1) continue;
        for (const [at, tree] of trees.entries())
          if ((tree.get(name) ?? null) !== last)
            wrong.push(`${name}: ${folders[at] ?? ""} has ${tree.get(name) ?? "nothing"}, not ${last ?? "nothing"}`);
      }
      return { wrong, onlyRecoverable };
    },
  };
}
