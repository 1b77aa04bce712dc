import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { mock, test } from "node:test";

import type { WatchHint } from "../service/core/ports.ts";
import { listAll } from "../service/files/disk-list.ts";
import type { ListReply } from "../service/files/disk-message.ts";
import { judge, newDirty } from "../service/files/settle.ts";
import { versionsToTrim } from "../service/files/versions.ts";
import { parcelWatcher } from "../service/files/watch.ts";
import { diskContract } from "./disk-contract.ts";
import { onDisk } from "./support/apply-steps.ts";
import { refusingDisk } from "./support/failing-disk.ts";
import { never, openFolderOnDisk, sha1Of, type FolderOnDisk } from "./support/folder-on-disk.ts";

const MIB = 1024 * 1024;
/** Root reads everything: permission tests need another user. */
const isRoot = process.getuid?.() === 0;

for (const [name, options] of [
  ["node", {}],
  ["node, every directory listed by a worker", { nearNames: 0 }],
] as const) {
  diskContract(name, async () => {
    const given = await openFolderOnDisk(options);
    const root = `${given.home}/contract`;
    fs.mkdirSync(root);
    return { disk: given.disk, root, symlink: (target, path) => fs.symlinkSync(target, path), close: async () => await given.close() };
  });
}

/** A directory's size decides who lists it: what is seen must be the same. */
function bothWays(name: string, run: (given: FolderOnDisk) => Promise<void>): void {
  onDisk(name, run);
  onDisk(`${name} (listed by a worker)`, run, { nearNames: 0 });
  onDisk(`${name} (listed and looked at by a worker)`, run, { nearNames: 0, nearParts: 0 });
}

function sparse(path: string, sizeBytes: number): void {
  fs.writeFileSync(path, "");
  fs.truncateSync(path, sizeBytes);
}

/** More than a few parts of a listing. */
const MANY = 5_000;

onDisk(
  "walk() a large directory: each file once, as it stands, whichever thread looked at it",
  async ({ disk, home }) => {
    fs.mkdirSync(`${home}/many`);
    for (let index = 0; index < MANY; index++) fs.writeFileSync(`${home}/many/f${String(index)}`, "x".repeat(index % 7));
    const sizes = new Map<string, number | undefined>();
    for await (const { found, packs } of disk.walk(`${home}/many`, () => false, never)) {
      assert.deepEqual(found, []);
      for (const { diskPaths, found: at } of packs ?? [])
        for (const [index, diskPath] of diskPaths.entries()) {
          assert.equal(sizes.has(diskPath), false, diskPath);
          sizes.set(diskPath, at(index).stat?.sizeBytes);
        }
    }
    assert.equal(sizes.size, MANY);
    for (let index = 0; index < MANY; index++) assert.equal(sizes.get(`f${String(index)}`), index % 7);
  },
  { nearNames: 0 },
);

/** As on a file system that does not say what a name stands for, where Node looks at each: here at one that went meanwhile. */
async function whileEntriesGo<T>(work: () => T | Promise<T>): Promise<T> {
  const gone = mock.method(fs.Dir.prototype, "readSync", () => {
    throw Object.assign(new Error("ENOENT: no such file or directory, lstat"), { code: "ENOENT" });
  });
  try {
    return await work();
  } finally {
    gone.mock.restore();
  }
}

onDisk("walk() N2 S14 a file that goes while its folder is listed does not make the folder unlistable", async ({ disk, home }) => {
  fs.mkdirSync(`${home}/some/sub`, { recursive: true });
  for (const name of ["a", "b", "sub/c"]) fs.writeFileSync(`${home}/some/${name}`, name);
  const seen = await whileEntriesGo(async () => {
    const all: string[] = [];
    for await (const { found, packs, unlisted } of disk.walk(`${home}/some`, () => false, never)) {
      assert.deepEqual(unlisted, []);
      all.push(...found.map(({ diskPath }) => diskPath), ...(packs ?? []).flatMap(({ diskPaths }) => diskPaths));
    }
    return all.toSorted();
  });
  assert.deepEqual(seen, ["a", "b", "sub/c"]);
});

onDisk("listAll() N2 S14 a file that goes while a large folder is listed does not make the folder unlistable", async ({ home }) => {
  fs.mkdirSync(`${home}/many`);
  const names = Array.from({ length: 3_000 }, (_, index) => `f${String(index)}`);
  for (const name of names) fs.writeFileSync(`${home}/many/${name}`, "");
  const parts: ListReply[] = [];
  const wanted = new Int32Array(new SharedArrayBuffer(4));
  await whileEntriesGo(() => listAll({ kind: "list", path: `${home}/many`, wanted }, (part) => void parts.push(part)));
  assert.deepEqual(
    parts.map(({ fault }) => fault).filter((fault) => fault !== null),
    [],
  );
  assert.ok(parts.length > 3, "in parts");
  assert.deepEqual(parts.flatMap((part) => (part.names === "" ? [] : part.names.split("/"))).toSorted(), names.toSorted());
});

onDisk("hash() by workers: many files and large ones, in order, S6 with stat", async ({ disk, home }) => {
  fs.mkdirSync(`${home}/many`);
  const paths = Array.from({ length: 700 }, (_, index) => `${home}/many/f${index}`);
  for (const [index, path] of paths.entries()) fs.writeFileSync(path, `bytes ${index}`);
  fs.writeFileSync(`${home}/many/large`, Buffer.alloc(3 * MIB, 7));
  const results = await disk.hash([...paths, `${home}/many/large`, `${home}/none`], 100 * MIB, never);
  for (const [index, result] of results.slice(0, 700).entries())
    assert.ok(result.kind === "hashed" && result.sha1 === sha1Of(`bytes ${index}`));
  const large = results[700];
  assert.ok(large?.kind === "hashed" && large.sha1 === sha1Of(Buffer.alloc(3 * MIB, 7).toString("latin1")));
  assert.equal(results[701]?.kind, "absent");
});

onDisk("hash() CT07 a FIFO does not hang it", async ({ disk, home }) => {
  execFileSync("/usr/bin/mkfifo", [`${home}/fifo`]);
  assert.equal((await disk.hash([`${home}/fifo`], MIB, never))[0]?.kind, "trouble");
});

onDisk("hash() aborted: rejects with the signal's reason", async ({ disk, home }) => {
  fs.writeFileSync(`${home}/f`, "x");
  const paths = Array.from({ length: 2_000 }, () => `${home}/f`);
  const abort = new AbortController();
  const work = disk.hash(paths, MIB, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(work, /enough/);
  assert.equal((await disk.hash([`${home}/f`], MIB, never))[0]?.kind, "hashed");
});

bothWays("observeAll() N9 every file is put or a problem: CT02 CT03 CT06 CT07 CT08 FN19", async (given) => {
  const { root, home } = given;
  fs.writeFileSync(`${home}/outside`, "secret");
  fs.mkdirSync(`${root}/sub`);
  fs.writeFileSync(`${root}/a.png`, "a");
  fs.writeFileSync(`${root}/sub/b.png`, "b");
  fs.writeFileSync(`${root}/empty.png`, "");
  fs.writeFileSync(`${root}/bad|name.png`, "x");
  fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/odd`), Buffer.from([0xff]), Buffer.from(".png")]), "odd");
  fs.writeFileSync(`${root}/really\uFFFD.png`, "fine");
  sparse(`${root}/exact.png`, 100 * MIB);
  sparse(`${root}/over.png`, 100 * MIB + 1);
  sparse(`${root}/sparse.png`, 10 * 1024 ** 4);
  execFileSync("/usr/bin/mkfifo", [`${root}/pipe.png`]);
  fs.symlinkSync(`${home}/outside`, `${root}/link.png`);
  fs.symlinkSync("link-to-itself", `${root}/link-to-itself`);
  fs.writeFileSync(`${root}/.satchel/put-x`, "ours");
  fs.writeFileSync(`${root}/.satchelignore`, "");
  assert.deepEqual(await given.scan(), [
    "problem bad|name.png badName",
    "problem empty.png empty",
    "problem link-to-itself symlink",
    "problem link.png symlink",
    "problem odd\uFFFD.png badName",
    "problem over.png tooLarge",
    "problem pipe.png special",
    "problem sparse.png tooLarge",
    "put a.png",
    "put exact.png",
    "put really\uFFFD.png",
    "put sub/b.png",
  ]);
  assert.equal(given.entries.get("a.png")?.sha1, sha1Of("a"));
  assert.equal(given.tree.dirtyCount(), 0);
  assert.deepEqual(
    (await given.scan()).filter((word) => !word.startsWith("problem")),
    [],
    "a second look has no news",
  );
});

bothWays("observeAll() N2 CT02 a known file that becomes a problem is never gone, and comes back", async (given) => {
  const { root } = given;
  fs.writeFileSync(`${root}/a.png`, "a");
  fs.writeFileSync(`${root}/b.png`, "b");
  await given.scan();
  fs.writeFileSync(`${root}/a.png`, "");
  fs.rmSync(`${root}/b.png`);
  execFileSync("/usr/bin/mkfifo", [`${root}/b.png`]);
  assert.deepEqual(await given.scan(), ["problem a.png empty", "problem b.png special"]);
  fs.writeFileSync(`${root}/a.png`, "a");
  fs.rmSync(`${root}/b.png`);
  fs.writeFileSync(`${root}/b.png`, "b");
  assert.deepEqual(await given.scan(), ["touched a.png", "touched b.png"]);
  assert.deepEqual([...given.problems], []);
});

bothWays(
  "observeAll() N2 N9 a folder in a file's place: the file is gone after its window, what is in the folder is put",
  async (given) => {
    const { root, tree } = given;
    fs.writeFileSync(`${root}/a`, "a");
    fs.writeFileSync(`${root}/b`, "b");
    await given.scan();
    for (const name of ["a", "b"]) {
      fs.rmSync(`${root}/${name}`);
      fs.mkdirSync(`${root}/${name}`);
      fs.writeFileSync(`${root}/${name}/in.png`, name);
    }
    tree.hint("a");
    assert.deepEqual(await given.dirty(300), [], "the window begins");
    fs.rmSync(`${root}/b`, { recursive: true });
    fs.writeFileSync(`${root}/b`, "b");
    assert.deepEqual(await given.dirty(2_100), ["gone a"]);
    assert.deepEqual(await given.dirty(300), [], "the folder is entered");
    assert.deepEqual(await given.dirty(300), ["put a/in.png"]);
    assert.deepEqual(await given.scan(), ["touched b"], "a moment's folder is none");
  },
);

onDisk("observeDirty() N2 gone only after 2 s, and not when it comes back in between (S5)", async (given) => {
  const { root, tree } = given;
  for (const name of ["a", "b", "c"]) fs.writeFileSync(`${root}/${name}.png`, name);
  await given.scan();
  for (const name of ["a", "b"]) {
    fs.rmSync(`${root}/${name}.png`);
    tree.hint(`${name}.png`);
  }
  assert.deepEqual(await given.dirty(250), []);
  assert.ok(tree.isRestless("a.png"));
  assert.deepEqual(await given.dirty(1_000), []);
  fs.writeFileSync(`${root}/b.png`, "b2");
  tree.hint("b.png");
  assert.deepEqual(await given.dirty(1_100), ["gone a.png"]);
  assert.deepEqual(await given.dirty(1_000), ["put b.png"]);
  assert.ok(tree.isRestless("b.png"), "re-appeared less than 4 s ago");
  given.clock.addedMs += 5_000;
  assert.ok(!tree.isRestless("b.png"));
  assert.equal(tree.settlesAtMs(), null);
});

bothWays("observeAll() N2 S14 an unmounted or replaced root concludes nothing", async (given) => {
  const { root, home, tree } = given;
  fs.writeFileSync(`${root}/a.png`, "a");
  await given.scan();
  assert.equal(await tree.checkRoot({ makeMarker: false }), "ok");
  fs.renameSync(root, `${home}/moved`);
  fs.mkdirSync(root);
  assert.equal(await tree.checkRoot({ makeMarker: false }), "replaced");
  tree.hint("a.png");
  assert.deepEqual(await given.dirty(300), []);
  assert.deepEqual(await given.dirty(5_000), [], "absent, but the root is not the root");
  assert.deepEqual(await given.dirty(5_000), []);
  fs.rmSync(root, { recursive: true });
  assert.equal(await tree.checkRoot({ makeMarker: false }), "missing");
  await assert.rejects(given.scan(), /list/);
  assert.ok(tree.needsScan(), "a scan that failed is still due");
  fs.renameSync(`${home}/moved`, root);
  assert.equal(await tree.checkRoot({ makeMarker: false }), "ok");
  assert.deepEqual(await given.scan(), []);
  assert.deepEqual(await given.dirty(5_000), []);
  fs.rmdirSync(`${root}/.satchel`);
  assert.equal(await tree.checkRoot({ makeMarker: false }), "markerGone");
  assert.equal(await tree.allStand(["a.png"]), true);
  assert.equal(await tree.allStand(["a.png", "b.png"]), false);
  assert.equal(await tree.checkRoot({ makeMarker: true }), "ok");
  assert.ok(fs.statSync(`${root}/.satchel`).isDirectory());
});

onDisk("checkRoot() S14 a root that may not be entered is unreadable, not without its marker", async (given) => {
  let denied = true;
  await given.reopen({
    disk: refusingDisk(given.disk, (method, path) => (denied && method === "lstat" && path.startsWith(`${given.root}/`) ? "access" : null)),
  });
  assert.equal(await given.tree.checkRoot({ makeMarker: false }), "unreadable");
  assert.equal(await given.tree.checkRoot({ makeMarker: true }), "unreadable", "nothing is made where nothing can be seen");
  denied = false;
  assert.equal(await given.tree.checkRoot({ makeMarker: false }), "ok");
});

bothWays("observeAll() CT10 a folder swapped for a symlink: its files are problems, nothing outside is read", async (given) => {
  const { root, home, tree } = given;
  fs.mkdirSync(`${root}/sub`);
  fs.writeFileSync(`${root}/sub/a.png`, "a");
  await given.scan();
  fs.renameSync(`${root}/sub`, `${home}/elsewhere`);
  fs.writeFileSync(`${home}/elsewhere/a.png`, "other bytes");
  fs.symlinkSync(`${home}/elsewhere`, `${root}/sub`);
  tree.hint("sub/a.png");
  assert.deepEqual(await given.dirty(5_000), ["problem sub/a.png symlink"]);
  assert.deepEqual(await given.scan(), ["problem sub symlink", "problem sub/a.png symlink"]);
  assert.deepEqual(await given.dirty(5_000), []);
  fs.unlinkSync(`${root}/sub`);
  assert.deepEqual(await given.scan(), []);
  assert.deepEqual(await given.dirty(5_000), ["gone sub", "gone sub/a.png"]);
});

bothWays("observeAll() N2 WA11 CT13 a folder that can't be listed is a problem, not a deletion", async (given) => {
  const { root } = given;
  fs.mkdirSync(`${root}/sub`);
  fs.writeFileSync(`${root}/sub/a.png`, "a");
  fs.writeFileSync(`${root}/locked.png`, "l");
  await given.scan();
  const disk: typeof given.disk = {
    ...given.disk,
    walk: async function* (at, skip, signal) {
      for await (const batch of given.disk.walk(at, (path, directory) => skip(path, directory) || path === "sub", signal)) yield batch;
      yield { found: [], unlisted: [{ diskPath: "sub", fault: "access" }] };
    },
    hash: async (paths) => await Promise.resolve(paths.map(() => ({ kind: "trouble", fault: "access" }))),
  };
  await given.reopen({ disk });
  fs.writeFileSync(`${root}/locked.png`, "other");
  assert.deepEqual(await given.scan(), ["problem locked.png unreadable", "problem sub unreadable", "problem sub/a.png unreadable"]);
  assert.deepEqual(await given.dirty(5_000), []);
  await given.reopen();
  assert.deepEqual(await given.scan(), ["put locked.png", "touched sub/a.png"]);
  assert.deepEqual(await given.dirty(5_000), ["gone sub"], "the problem of the folder itself is over");
  assert.deepEqual([...given.problems], []);
});

bothWays("observeAll() CT13 real permissions", async (given) => {
  if (isRoot) return;
  fs.writeFileSync(`${given.root}/a.png`, "a");
  fs.chmodSync(`${given.root}/a.png`, 0);
  assert.deepEqual(await given.scan(), ["problem a.png unreadable"]);
});

bothWays("observeAll() a folder that goes takes its files; one that comes brings them", async (given) => {
  const { root, home, tree } = given;
  fs.mkdirSync(`${root}/sub/deep`, { recursive: true });
  for (const name of ["a", "b"]) fs.writeFileSync(`${root}/sub/deep/${name}.png`, name);
  await given.scan();
  fs.renameSync(`${root}/sub`, `${home}/away`);
  tree.hint("sub");
  assert.deepEqual(await given.dirty(300), []);
  assert.deepEqual(await given.dirty(2_100), ["gone sub/deep/a.png", "gone sub/deep/b.png"]);
  fs.renameSync(`${home}/away`, `${root}/back`);
  tree.hint("back");
  assert.deepEqual(await given.dirty(300), []);
  assert.deepEqual(await given.dirty(1_000), ["put back/deep/a.png", "put back/deep/b.png"]);
});

bothWays("observeAll() FN09 NFD on disk is NFC in the tree, and its NFC twin a file of its own", async (given) => {
  const { root } = given;
  const nfc = "caf\u00e9.png";
  const nfd = nfc.normalize("NFD");
  fs.writeFileSync(`${root}/${nfd}`, "one");
  assert.deepEqual(await given.scan(), [`put ${nfc}`]);
  assert.equal(given.entries.get(nfc)?.diskPath, nfd);
  assert.deepEqual(await given.scan(), [], "no loop of delete and add");
  fs.writeFileSync(`${root}/${nfc}`, "two");
  assert.deepEqual(await given.scan(), [`put ${nfc}`], "the name in normal form is the file");
  assert.deepEqual(await given.scan(), [`problem ${nfd} twin`], "the other spelling is said, not synced");
  fs.rmSync(`${root}/${nfd}`);
  assert.deepEqual([...(await given.scan()), ...(await given.dirty(3_000))], [`gone ${nfd}`]);
  assert.equal(given.entries.get(nfc)?.sha1, sha1Of("two"));
});

bothWays("observeAll() CT04 other bytes of the same size and mtime are found by ctime; the 24 h rehash reads all", async (given) => {
  const path = `${given.root}/a.png`;
  fs.writeFileSync(path, "one");
  const { atime, mtime } = fs.statSync(path);
  await given.scan();
  fs.writeFileSync(path, "two");
  fs.utimesSync(path, atime, mtime);
  assert.deepEqual(await given.scan(), ["put a.png"]);
  const entry = given.entries.get("a.png");
  assert.ok(entry);
  given.entries.set("a.png", { ...entry, sha1: sha1Of("rotten") });
  const words: string[] = [];
  for await (const batch of given.tree.observeAll({ rehash: true }, never)) words.push(...given.record(batch));
  assert.deepEqual(words, ["put a.png"]);
});

onDisk("observeDirty() CT05 a file under the pen is read when it rests; ignored and own names never", async (given) => {
  const { root, tree } = given;
  await given.scan();
  given.ignored.add("ignored.png");
  for (const name of ["a.png", "ignored.png", ".satchel/put-1", ".satchel-1.tmp"]) {
    fs.writeFileSync(`${root}/${name}`, "first");
    tree.hint(name);
  }
  assert.deepEqual(await given.dirty(100), [], "not yet");
  fs.appendFileSync(`${root}/a.png`, " second");
  tree.hint("a.png");
  assert.deepEqual(await given.dirty(150), [], "it moved: the window begins again");
  assert.deepEqual(await given.dirty(150), ["put a.png"]);
  assert.equal(given.entries.get("a.png")?.sha1, sha1Of("first second"));
  assert.equal(tree.dirtyCount(), 0);
  tree.hint("a.png");
  assert.deepEqual(await given.dirty(300), [], "WA07 an event of nothing is no news");
  given.ignored.add("a.png");
  fs.rmSync(`${root}/a.png`);
  tree.hint("a.png");
  assert.deepEqual([...(await given.dirty(300)), ...(await given.dirty(3_000))], [], "a file that becomes ignored is deleted nowhere");
});

bothWays("observeAll() N9 young files stay dirty and are found when they rest", async (given) => {
  fs.writeFileSync(`${given.root}/a.png`, "a");
  assert.deepEqual(await given.scan(0), []);
  assert.equal(given.tree.dirtyCount(), 1);
  assert.notEqual(given.tree.settlesAtMs(), null);
  assert.deepEqual(await given.dirty(400), ["put a.png"]);
});

onDisk("observeDirty() S14 absences are concluded together, so that the guard sees all of them; none waits for ever", async (given) => {
  const { root, tree } = given;
  const names = Array.from({ length: 8 }, (_, index) => `f${index}.png`);
  for (const name of names) fs.writeFileSync(`${root}/${name}`, name);
  await given.scan();
  const remove = async (name: string | undefined, addMs: number): Promise<string[]> => {
    fs.rmSync(`${root}/${name ?? ""}`);
    tree.hint(name ?? "");
    return [...(await given.dirty(250)), ...(await given.dirty(addMs))];
  };
  assert.deepEqual(await remove(names[0], 1_600), []);
  assert.deepEqual(await remove(names[1], 1_000), [], "the first has been away for 2.8 s, the second has not");
  assert.deepEqual(await given.dirty(1_100), ["gone f0.png", "gone f1.png"]);
  const concluded: string[] = [];
  for (const name of names.slice(2)) concluded.push(...(await remove(name, 1_500)));
  assert.deepEqual(concluded, ["gone f2.png"], "somebody removes one every other second: the first waits 10 s");
});

test("judge() WA04 a file that never rests is tried after 30 s; growing ones get longer", () => {
  const stat = (sizeBytes: number, ctimeMs: number) =>
    ({ kind: "file", sizeBytes, mtimeNs: ctimeMs * 1e6, ctimeNs: ctimeMs * 1e6, fileId: 1, dev: 1 }) as const;
  const dirty = newDirty(0);
  for (let nowMs = 250; nowMs < 30_000; nowMs += 250) assert.equal(judge(dirty, stat(nowMs, nowMs), nowMs, nowMs), "wait");
  assert.equal(judge(dirty, stat(1, 30_000), 30_000, 30_000), "settled");
  const large = newDirty(0);
  assert.equal(judge(large, stat(20 * MIB, 0), 300, 300), "wait");
  assert.equal(judge(large, stat(20 * MIB, 0), 1_000, 1_000), "settled");
  const future = newDirty(0);
  assert.equal(judge(future, stat(5, 9e9), 200, 200), "wait", "TM05 a ctime from the future proves nothing");
  assert.equal(judge(future, stat(5, 9e9), 400, 400), "settled");
});

test("versionsToTrim() S21 nothing under 30 days, whatever the cap; then the oldest first", () => {
  const day = 86_400_000;
  const row = (sha1: string, ageDays: number, sizeBytes = 10) =>
    ({ folder: "f", path: sha1, sha1, sizeBytes, why: "replaced", run: "r", atMs: 100 * day - ageDays * day }) as const;
  const retention = { keepMs: 30 * day, capBytes: 25 };
  const now = 100 * day;
  assert.deepEqual(versionsToTrim([row("a", 29), row("b", 28), row("c", 27)], retention, now), []);
  assert.deepEqual(versionsToTrim([row("a", 31), row("b", 50), row("c", 1)], retention, now), ["b"]);
  assert.deepEqual(versionsToTrim([row("b", 50), row("b", 2), row("a", 31), row("c", 40)], retention, now), ["c"], "kept again lately");
  assert.deepEqual(versionsToTrim([row("a", 50), row("b", 40)], retention, now), [], "within the cap all stay");
});

onDisk("parcelWatcher() WA01 WA07 real events become hints, a burst is told as lost, a replaced root as gone", async ({ root, home }) => {
  const hints: WatchHint[] = [];
  let wake = (): void => undefined;
  const until = async (found: (hint: WatchHint) => boolean): Promise<void> => {
    while (!hints.some(found)) await new Promise<void>((resolve) => (wake = resolve));
  };
  const watch = await parcelWatcher().watch(root, (hint) => {
    hints.push(hint);
    wake();
  });
  try {
    fs.writeFileSync(`${root}/.satchel/put-1`, "ours");
    fs.mkdirSync(`${root}/sub`);
    fs.writeFileSync(`${root}/a.png`, "a");
    await until((hint) => hint.kind === "hint" && hint.diskPath === "a.png");
    assert.ok(!hints.some((hint) => hint.kind === "hint" && hint.diskPath?.startsWith(".satchel/") === true));
    for (let index = 0; index < 1_500; index += 1) fs.writeFileSync(`${root}/burst-${index}`, "");
    await until((hint) => hint.kind === "lost");
    fs.renameSync(root, `${home}/moved`);
    fs.mkdirSync(root);
    await until((hint) => hint.kind === "gone");
  } finally {
    await watch.close();
  }
  const after = hints.length;
  fs.writeFileSync(`${root}/late.png`, "x");
  assert.equal(hints.length, after);
});

test("parcelWatcher() WA02 a root that can't be watched is a DiskError", async () => {
  await assert.rejects(
    parcelWatcher().watch("/no/such/folder", () => undefined),
    /Could not watch/,
  );
});
