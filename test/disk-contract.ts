/** What every `Disk` does. Run on the real one by `files.test.ts` and on the simulated one by the simulator's own tests. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { DiskError, type Disk, type DiskFault } from "../service/core/ports.ts";
import { everyFound } from "../service/files/every-found.ts";

/** A disk with an empty directory at `root`. `symlink` and `makeFifo` where the test can make such things there. */
export type ContractDisk = {
  readonly disk: Disk;
  readonly root: string;
  readonly symlink?: (target: string, path: string) => void;
  readonly close: () => Promise<void>;
};

const never = new AbortController().signal;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha1Of = (text: string): string => createHash("sha1").update(text).digest("hex");
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Registers one test per promise of the port. */
export function diskContract(name: string, open: () => Promise<ContractDisk>): void {
  const promise = (words: string, run: (given: ContractDisk) => Promise<void>): void => {
    test(`Disk (${name}) ${words}`, async () => {
      const given = await open();
      try {
        await run(given);
      } finally {
        await given.close();
      }
    });
  };
  files(promise);
  names(promise);
  looks(promise);
}

type Promises = (words: string, run: (given: ContractDisk) => Promise<void>) => void;

async function refuses(work: Promise<unknown>, ...faults: DiskFault[]): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof DiskError, `not a DiskError: ${String(error)}`);
    assert.ok(faults.includes(error.fault), `${error.fault}: ${error.message}`);
    assert.ok(error.message.length > 10, "the message says what was attempted");
    return true;
  });
}

async function textAt(disk: Disk, path: string): Promise<string> {
  const got = await disk.read(path, 1024);
  assert.notEqual(got, "changed");
  return got === "changed" ? "" : textOf(got.bytes);
}

function files(promise: Promises): void {
  promise("create() writes a new file and refuses a taken name", async ({ disk, root }) => {
    const stat = await disk.create(`${root}/a`, bytesOf("one"));
    assert.equal(stat.kind, "file");
    assert.equal(stat.sizeBytes, 3);
    await refuses(disk.create(`${root}/a`, bytesOf("two")), "exists");
    assert.equal(await textAt(disk, `${root}/a`), "one");
    await refuses(disk.create(`${root}/none/a`, bytesOf("x")), "notFound");
  });
  promise("create() of many at once makes each that can be made, and leaves nothing of the others", async ({ disk, root }) => {
    await disk.create(`${root}/f7`, bytesOf("taken"));
    const wanted = Array.from({ length: 300 }, (_, index) => `f${index}`);
    const ends = await Promise.allSettled(
      wanted.map(async (name) => await disk.create(`${root}/${name}`, bytesOf(`bytes of ${name}`), 0o600)),
    );
    for (const [index, end] of ends.entries()) {
      assert.equal(end.status, index === 7 ? "rejected" : "fulfilled");
      if (end.status === "fulfilled") assert.equal(end.value.sizeBytes, `bytes of f${index}`.length);
      else assert.ok(end.reason instanceof DiskError && end.reason.fault === "exists", String(end.reason));
    }
    assert.equal(await textAt(disk, `${root}/f7`), "taken");
    assert.equal(await textAt(disk, `${root}/f299`), "bytes of f299");
    const nowhere = await Promise.allSettled(wanted.map(async (name) => await disk.create(`${root}/none/${name}`, bytesOf("x"))));
    assert.ok(nowhere.every((end) => end.status === "rejected" && end.reason instanceof DiskError && end.reason.fault === "notFound"));
  });
  promise(
    "read() of many at once into one memory: whole files, each in its room; what is no file of that length is told",
    async (given) => {
      const { disk, root } = given;
      const text = (index: number): string => `bytes of ${index}`.padEnd(20 + (index % 7), ".");
      const paths = Array.from({ length: 60 }, (_, index) => `${root}/f${index}`);
      await Promise.all(paths.map(async (name, index) => await disk.create(name, bytesOf(text(index)))));
      await disk.unlink(`${root}/f3`);
      await disk.mkdir(`${root}/f3`);
      await disk.unlink(`${root}/f4`);
      await disk.append(`${root}/f5`, bytesOf("more than fits its room"));
      const memory = new Uint8Array(new SharedArrayBuffer(60 * 40)).fill(1);
      const rooms = paths.map((_, index) => memory.subarray(index * 40, index * 40 + text(index).length + 1));
      const got = await Promise.allSettled(paths.map(async (name, index) => await disk.read(name, 1024, rooms[index])));
      for (const [index, end] of got.entries()) {
        if (index === 3 || index === 4) {
          const fault = index === 3 ? "isDirectory" : "notFound";
          assert.ok(end.status === "rejected" && end.reason instanceof DiskError && end.reason.fault === fault, fault);
          continue;
        }
        assert.ok(end.status === "fulfilled" && end.value !== "changed");
        const wanted = index === 5 ? `${text(5)}more than fits its room` : text(index);
        assert.equal(textOf(new Uint8Array(end.value.bytes)), wanted);
        assert.equal(end.value.stat.sizeBytes, wanted.length);
        assert.equal(end.value.sha1 ?? sha1Of(wanted), sha1Of(wanted));
        if (index < 59 && index !== 5) assert.equal(memory[(index + 1) * 40 - 1], 1, "nothing is written behind the room");
      }
    },
  );
  promise("read() gives bytes with their stat, refuses what is too large, absent, or no file", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("hello"));
    const got = await disk.read(`${root}/a`, 5);
    assert.ok(got !== "changed" && got.stat.sizeBytes === 5);
    await refuses(disk.read(`${root}/a`, 4), "tooLarge");
    await refuses(disk.read(`${root}/b`, 4), "notFound");
    await disk.mkdir(`${root}/d`);
    await refuses(disk.read(`${root}/d`, 4), "isDirectory");
    assert.equal(textOf(await disk.readRange(`${root}/a`, 1, 3)), "ell");
    assert.equal(textOf(await disk.readRange(`${root}/a`, 4, 30)), "o");
    assert.equal((await disk.readRange(`${root}/a`, 9, 3)).length, 0);
  });
  promise("append() makes the file, then adds", async ({ disk, root }) => {
    await disk.append(`${root}/log`, bytesOf("a\n"));
    await disk.append(`${root}/log`, bytesOf("b\n"));
    assert.equal(await textAt(disk, `${root}/log`), "a\nb\n");
  });
  promise("copy() makes an equal file and refuses a taken name", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("one"));
    await disk.copy(`${root}/a`, `${root}/b`);
    assert.equal(await textAt(disk, `${root}/b`), "one");
    assert.notEqual((await disk.lstat(`${root}/b`))?.fileId, (await disk.lstat(`${root}/a`))?.fileId);
    await refuses(disk.copy(`${root}/a`, `${root}/b`), "exists");
    await refuses(disk.copy(`${root}/none`, `${root}/c`), "notFound");
    assert.equal(await disk.lstat(`${root}/c`), null);
  });
  promise("hash() answers in order: hashed, absent, too large, a directory", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("one"));
    await disk.create(`${root}/big`, bytesOf("0123456789"));
    await disk.mkdir(`${root}/d`);
    const results = await disk.hash([`${root}/a`, `${root}/none`, `${root}/big`, `${root}/d`, `${root}/a/below`], 9, never);
    const [a, none, big, d, below] = results;
    assert.ok(a?.kind === "hashed" && a.sha1 === sha1Of("one") && a.stat.sizeBytes === 3);
    assert.equal(none?.kind, "absent");
    assert.deepEqual(big, { kind: "trouble", fault: "tooLarge" });
    assert.equal(d?.kind, "trouble");
    assert.equal(below?.kind, "absent");
    assert.deepEqual(await disk.hash([], 9, never), []);
  });
  promise("fsync and space: of what is there, and notFound of what is not", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("one"));
    await disk.fsyncFile(`${root}/a`);
    await disk.fsyncDir(root);
    await refuses(disk.fsyncFile(`${root}/none`), "notFound");
    const { freeBytes, totalBytes } = await disk.space(root);
    assert.ok(freeBytes > 0 && totalBytes >= freeBytes);
  });
}

function names(promise: Promises): void {
  promise("link() gives one file two names, never replaces, and lstat counts them alike", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("one"));
    await disk.link(`${root}/a`, `${root}/b`);
    assert.equal((await disk.lstat(`${root}/a`))?.fileId, (await disk.lstat(`${root}/b`))?.fileId);
    await disk.create(`${root}/c`, bytesOf("three"));
    await refuses(disk.link(`${root}/a`, `${root}/c`), "exists");
    assert.equal(await textAt(disk, `${root}/c`), "three");
    await refuses(disk.link(`${root}/none`, `${root}/d`), "notFound");
  });
  promise("link() and unlink() of many at once: each that can be, never in the place of another, and the others say why", async (given) => {
    const { disk, root } = given;
    const those = Array.from({ length: 60 }, (_, index) => `f${index}`);
    await Promise.all(those.map(async (name) => await disk.create(`${root}/${name}`, bytesOf(name))));
    await disk.create(`${root}/to-f7`, bytesOf("taken"));
    await disk.unlink(`${root}/f8`);
    const faultsOf = (ends: readonly PromiseSettledResult<void>[]): unknown =>
      ends.flatMap((end, index) => (end.status === "rejected" && end.reason instanceof DiskError ? [[index, end.reason.fault]] : []));
    const links = await Promise.allSettled(those.map(async (name) => await disk.link(`${root}/${name}`, `${root}/to-${name}`)));
    assert.deepEqual(faultsOf(links), [
      [7, "exists"],
      [8, "notFound"],
    ]);
    assert.equal(await textAt(disk, `${root}/to-f7`), "taken");
    const unlinks = await Promise.allSettled(those.map(async (name) => await disk.unlink(`${root}/${name}`)));
    assert.deepEqual(faultsOf(unlinks), [[8, "notFound"]]);
    assert.deepEqual(
      (await disk.list(root)).toSorted(),
      those
        .filter((name) => name !== "f8")
        .map((name) => `to-${name}`)
        .toSorted(),
    );
    assert.equal(await textAt(disk, `${root}/to-f59`), "f59");
    assert.equal((await disk.lstat(`${root}/to-f59`))?.links, 1);
    await disk.mkdir(`${root}/to-f8`);
    const seen = await Promise.all(those.map(async (name) => await disk.lstat(`${root}/to-${name}`, true)));
    const kinds = seen.map((stat) => stat?.kind);
    assert.deepEqual(
      kinds,
      those.map((name) => (name === "f8" ? "directory" : "file")),
    );
    assert.deepEqual(seen[59], await disk.lstat(`${root}/to-f59`));
    const below = await Promise.all(those.map(async (name) => await disk.lstat(`${root}/to-f1/${name}`, true)));
    assert.ok(below.every((stat) => stat === null));
  });
  promise("rename() replaces in one step; of an absent file it is refused", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("new"));
    await disk.create(`${root}/b`, bytesOf("old"));
    const before = await disk.lstat(`${root}/a`);
    await disk.rename(`${root}/a`, `${root}/b`);
    assert.equal(await disk.lstat(`${root}/a`), null);
    assert.equal(await textAt(disk, `${root}/b`), "new");
    assert.equal((await disk.lstat(`${root}/b`))?.fileId, before?.fileId);
    await refuses(disk.rename(`${root}/none`, `${root}/b`), "notFound");
    assert.equal(await textAt(disk, `${root}/b`), "new");
  });
  promise("replaceIf() N1 renames over what is as expected; anything else is left alone, and so is what comes", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("new"));
    await disk.create(`${root}/b`, bytesOf("old"));
    const old = await disk.lstat(`${root}/b`);
    assert.ok(old);
    const { sizeBytes, mtimeNs, fileId, ctimeNs } = old;
    const there = { sizeBytes, mtimeNs, fileId, ctimeNs };
    const others = [
      null,
      ...(["sizeBytes", "mtimeNs", "fileId", "ctimeNs"] as const).map((key) => ({ ...there, [key]: there[key] + 512 })),
    ];
    for (const other of others) assert.equal(await disk.replaceIf(`${root}/a`, `${root}/b`, other), false);
    assert.deepEqual([await textAt(disk, `${root}/a`), await textAt(disk, `${root}/b`)], ["new", "old"]);
    assert.equal(await disk.replaceIf(`${root}/a`, `${root}/b`, { ...there, ctimeNs: null }), true);
    assert.deepEqual([await disk.lstat(`${root}/a`), await textAt(disk, `${root}/b`)], [null, "new"]);
    assert.equal(await disk.replaceIf(`${root}/b`, `${root}/c`, there), false);
    assert.equal(await disk.replaceIf(`${root}/b`, `${root}/c`, null), true);
    await disk.mkdir(`${root}/d`);
    assert.equal(await disk.replaceIf(`${root}/c`, `${root}/d`, there), false);
    await refuses(disk.replaceIf(`${root}/none`, `${root}/e`, null), "notFound");
  });
  promise("unlink() removes; of an absent file it is refused", async ({ disk, root }) => {
    await disk.create(`${root}/a`, bytesOf("one"));
    await disk.unlink(`${root}/a`);
    assert.equal(await disk.lstat(`${root}/a`), null);
    await refuses(disk.unlink(`${root}/a`), "notFound");
  });
  promise("mkdir() with parents, twice; rmdir() only of the empty", async ({ disk, root }) => {
    await disk.mkdir(`${root}/a/b/c`);
    await disk.mkdir(`${root}/a/b/c`);
    await disk.create(`${root}/a/b/c/f`, bytesOf("x"));
    await refuses(disk.rmdir(`${root}/a/b/c`), "notEmpty", "exists");
    await disk.unlink(`${root}/a/b/c/f`);
    await disk.rmdir(`${root}/a/b/c`);
    assert.deepEqual(await disk.list(`${root}/a/b`), []);
    await refuses(disk.rmdir(`${root}/a/b/c`), "notFound");
  });
  promise("list() is complete, or throws", async ({ disk, root }) => {
    for (const name of ["b", "a", "c"]) await disk.create(`${root}/${name}`, bytesOf(name));
    assert.deepEqual([...(await disk.list(root))].toSorted(), ["a", "b", "c"]);
    await refuses(disk.list(`${root}/none`), "notFound");
    await refuses(disk.list(`${root}/a`), "notDirectory");
  });
}

function looks(promise: Promises): void {
  promise("lstat() is null below a file and where nothing is; a write moves mtime or size", async ({ disk, root }) => {
    assert.equal(await disk.lstat(`${root}/none`), null);
    await disk.create(`${root}/a`, bytesOf("one"));
    assert.equal(await disk.lstat(`${root}/a/b`), null);
    assert.equal((await disk.lstat(root))?.kind, "directory");
    await disk.append(`${root}/a`, bytesOf("two"));
    assert.equal((await disk.lstat(`${root}/a`))?.sizeBytes, 6);
  });
  promise("walk() reports every file below, skips what it is told to, and throws without a root", async ({ disk, root }) => {
    await disk.mkdir(`${root}/d/e`);
    await disk.mkdir(`${root}/skipped`);
    for (const path of ["a", "d/b", "d/e/c", "skipped/x", "d/no"]) await disk.create(`${root}/${path}`, bytesOf(path));
    const asked: string[] = [];
    const found: string[] = [];
    const skip = (path: string, directory: boolean): boolean => {
      asked.push(`${path}${directory ? "/" : ""}`);
      return path === "skipped" || path === "d/no";
    };
    for await (const batch of disk.walk(root, skip, never)) {
      found.push(...Array.from(everyFound(batch), ({ diskPath, stat }) => `${diskPath}:${String(stat?.sizeBytes)}`));
      assert.deepEqual(batch.unlisted, []);
    }
    assert.deepEqual(found.toSorted(), ["a:1", "d/b:3", "d/e/c:5"]);
    assert.ok(asked.includes("skipped/") && !asked.includes("skipped/x"));
    const walkNothing = async (): Promise<void> => {
      for await (const batch of disk.walk(`${root}/none`, () => false, never)) assert.fail(`found ${String(batch.found.length)} files`);
    };
    await refuses(walkNothing(), "notFound");
  });
  promise("CT08 a symlink is seen as one and never followed", async ({ disk, root, symlink }) => {
    if (symlink === undefined) return;
    await disk.create(`${root}/secret`, bytesOf("secret"));
    await disk.mkdir(`${root}/d`);
    await disk.create(`${root}/d/in`, bytesOf("in"));
    symlink(`${root}/secret`, `${root}/link`);
    symlink(`${root}/d`, `${root}/dlink`);
    assert.equal((await disk.lstat(`${root}/link`))?.kind, "symlink");
    await refuses(disk.read(`${root}/link`, 100), "symlink");
    await refuses(disk.copy(`${root}/link`, `${root}/copy`), "symlink");
    assert.deepEqual(await disk.hash([`${root}/link`], 100, never), [{ kind: "trouble", fault: "symlink" }]);
    const found: string[] = [];
    for await (const batch of disk.walk(root, () => false, never)) found.push(...Array.from(everyFound(batch), (one) => one.diskPath));
    assert.deepEqual(found.toSorted(), ["d/in", "dlink", "link", "secret"]);
  });
  promise("caps() leaves nothing behind", async ({ disk, root }) => {
    const caps = await disk.caps(root);
    assert.equal(typeof caps.foldsCase, "boolean");
    assert.deepEqual(await disk.list(root), []);
  });
}
