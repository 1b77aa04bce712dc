/** Twins where they are easily mixed up: in one batch, under a name that shows the other, after a crash, after the rows were lost (FN10, FN11, S16). */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import type { Entry } from "../service/core/model.ts";
import { DiskError } from "../service/core/ports.ts";
import { twinName } from "../service/core/twin-names.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { openRootParts } from "../service/files/open-root.ts";
import { done, intentOf, onDisk, put, standing, textAt } from "./support/apply-steps.ts";
import { Crash, gated, mortalDisk, refusingDisk, splitDisk } from "./support/failing-disk.ts";
import { foldingDisk } from "./support/folding-disk.ts";
import { openFolderOnDisk, sha1Of, type FolderOnDisk } from "./support/folder-on-disk.ts";
import { openDevice } from "./support/memory-device.ts";
import { MemoryAccount, memoryRemote } from "./support/memory-remote.ts";

const caps = { foldsCase: true, foldsNormalization: false };
const TWIN = /^a\.twin-[0-9a-f]{4}\.jpg$/;

async function folding(given: FolderOnDisk): Promise<void> {
  await given.reopen({ disk: foldingDisk(given.disk), caps });
}

/** `A.jpg`, and `a.jpg` beside it; returns the name on disk of the latter. */
async function twins(given: FolderOnDisk): Promise<string> {
  await standing(given, { "A.jpg": "first" });
  await folding(given);
  const { entry } = done((await given.applier.commit([await put(given, "a.jpg", "second")], "r1"))[0]);
  assert.ok(entry?.diskPath);
  given.entries.set("a.jpg", entry);
  return entry.diskPath;
}

function namesIn(given: FolderOnDisk): readonly string[] {
  return fs.readdirSync(given.root).filter((name) => name !== ".satchel");
}

for (const links of [true, false]) {
  onDisk(`commit() FN10 N1 two twins in one batch both stand, ${links ? "with" : "without"} links`, async (given) => {
    const noLinks = gated(foldingDisk(given.disk), (method, path) => {
      if (method === "link" && !links) throw new DiskError("notSupported", `Could not link ${path}.`);
    });
    await given.reopen({ disk: noLinks, caps });
    const steps = [await put(given, "A.jpg", "first"), await put(given, "a.jpg", "second")];
    const entries = (await given.applier.commit(steps, "r1")).map((result) => done(result).entry);
    const texts = entries.map((entry) => textAt(given, entry?.diskPath ?? entry?.path ?? ""));
    assert.deepEqual(texts, ["first", "second"]);
    assert.equal(namesIn(given).filter((name) => name.includes(".twin-")).length, 1);
  });
}

onDisk("commit() FN11 N1 what stands under another spelling is neither replaced nor removed in its twin's place", async (given) => {
  await standing(given, { "a.jpg": "small" });
  await folding(given);
  const expect = given.entries.get("a.jpg");
  assert.ok(expect);
  fs.renameSync(`${given.root}/a.jpg`, `${given.root}/A.jpg`);
  const steps = [await put(given, "a.jpg", "new"), { kind: "remove", path: "a.jpg", expect, why: "removed" } as const];
  for (const step of steps) assert.equal((await given.applier.commit([step], "r1"))[0]?.kind, "changed", step.kind);
  assert.deepEqual([namesIn(given), textAt(given, "A.jpg")], [["A.jpg"], "small"]);
});

onDisk("commit() N1 the last look at a file and the rename over it are one call", async (given) => {
  await standing(given, { "a.jpg": "old" });
  const calls: string[] = [];
  const watched = gated(given.disk, (method, path) => void calls.push(`${method} ${path.slice(given.root.length + 1)}`));
  await given.reopen({ disk: watched });
  const step = await put(given, "a.jpg", "new");
  calls.length = 0;
  done((await given.applier.commit([step], "r1"))[0]);
  assert.deepEqual(
    calls.filter((call) => /^(rename|replaceIf) a/.test(call)),
    ["replaceIf a.jpg"],
  );
});

onDisk(
  "recover() FN10 N5 a put that a crash left unbooked is found under its stand-in name, not in the twin of equal bytes",
  async (given) => {
    await standing(given, { "A.jpg": "same" });
    await folding(given);
    const step = await put(given, "a.jpg", "same");
    done((await given.applier.commit([step], "r1"))[0]);
    const [outcome] = await given.applier.recover([intentOf(step)]);
    assert.equal(outcome?.done, true);
    assert.match(outcome.entry?.diskPath ?? "", TWIN);
  },
);

onDisk("observeDirty() FN10 S4 an event for a name that only its twin has says nothing of the twin's file", async (given) => {
  await standing(given, { "A.jpg": "first" });
  await folding(given);
  given.tree.hint("a.jpg");
  assert.deepEqual([...(await given.dirty(300)), ...(await given.dirty(3_000))], []);
});

onDisk("observeDirty() FN10 N2 while the folder can't be listed, which of two twins stands is not guessed", async (given) => {
  await standing(given, { "A.jpg": "first" });
  let broken = true;
  const unlistable = gated(foldingDisk(given.disk), (method, path) => {
    if (broken && method === "list" && path === given.root) throw new DiskError("io", `Could not list ${path}.`);
  });
  await given.reopen({ disk: unlistable, caps });
  given.tree.hint("a.jpg");
  assert.deepEqual(await given.dirty(300), []);
  broken = false;
  assert.deepEqual([...(await given.dirty(3_000)), ...(await given.dirty(3_000))], []);
});

onDisk("observeAll() N6 S16 with the rows lost, a file under a stand-in name is its real path's again", async (given) => {
  const twin = await twins(given);
  given.entries.clear();
  await folding(given);
  assert.deepEqual(await given.scan(), ["put A.jpg", "put a.jpg"]);
  assert.equal(given.entries.get("a.jpg")?.diskPath, twin);
});

onDisk(
  "observeAll() FN10 a rival that a user makes under the real name takes the path; the stand-in becomes a file like any other",
  async (given) => {
    const twin = await twins(given);
    fs.rmSync(`${given.root}/A.jpg`);
    fs.writeFileSync(`${given.root}/a.jpg`, "the user's own");
    for (let round = 0; round < 3; round += 1) {
      await given.scan();
      await given.dirty(3_000);
    }
    assert.deepEqual([given.entries.get("a.jpg")?.sha1, given.entries.get("a.jpg")?.diskPath], [sha1Of("the user's own"), null]);
    assert.equal(given.entries.get(twin)?.sha1, sha1Of("second"));
    assert.deepEqual(await given.scan(), [], "and it stays so");
  },
);

test("freeTwin() N5 S15 killed at any call: the next scan and try leave one file under its own name, and no file of a new name", async () => {
  let ended = false;
  for (let calls = 0; !ended; calls += 1) {
    const given = await openFolderOnDisk();
    try {
      const twin = await twins(given);
      const entry = given.entries.get("a.jpg");
      assert.ok(entry);
      fs.rmSync(`${given.root}/A.jpg`);
      given.entries.delete("A.jpg");
      const mortal = mortalDisk(foldingDisk(given.disk));
      await given.reopen({ disk: mortal.disk, caps });
      mortal.dieAfter(calls);
      const book = (now: Entry): void => void given.entries.set(now.path, now);
      try {
        await given.applier.freeTwin(entry, book);
        ended = true;
      } catch (error) {
        assert.ok(error instanceof Crash, String(error));
      }
      await folding(given);
      await given.scan();
      const now = given.entries.get("a.jpg");
      assert.ok(now);
      if (now.diskPath !== null) assert.equal(await given.applier.freeTwin(now, book), true, `after ${calls} calls`);
      assert.deepEqual([namesIn(given), textAt(given, "a.jpg")], [["a.jpg"], "second"], `after ${calls} calls`);
      assert.equal(given.entries.has(twin), false, "the stand-in name was never a file of its own");
    } finally {
      await given.close();
    }
  }
});

onDisk(
  "freeTwin() FN10 a made-up name that the disk did not let go of goes with the next try, and nothing else that stands there",
  async (given) => {
    for (const between of ["nothing", "a file of the user's"]) {
      const twin = await twins(given);
      const entry = given.entries.get("a.jpg");
      assert.ok(entry);
      fs.rmSync(`${given.root}/A.jpg`);
      given.entries.delete("A.jpg");
      let refuses = true;
      const disk = refusingDisk(foldingDisk(given.disk), (method, path) =>
        refuses && method === "unlink" && path.endsWith(twin) ? "busy" : null,
      );
      await given.reopen({ disk, caps });
      const book = (now: Entry): void => void given.entries.set(now.path, now);
      await assert.rejects(given.applier.freeTwin(entry, book), DiskError);
      assert.deepEqual(namesIn(given), ["a.jpg", twin]);
      refuses = false;
      const booked = given.entries.get("a.jpg");
      assert.ok(booked);
      if (between !== "nothing") {
        fs.rmSync(`${given.root}/${twin}`);
        fs.writeFileSync(`${given.root}/${twin}`, "mine");
      }
      assert.equal(await given.applier.freeTwin(booked, book), between === "nothing");
      assert.deepEqual(namesIn(given), between === "nothing" ? ["a.jpg"] : ["a.jpg", twin]);
      assert.equal(textAt(given, "a.jpg"), "second");
      for (const name of namesIn(given)) fs.rmSync(`${given.root}/${name}`);
      await given.reopen();
      await given.scan();
      await given.dirty(3_000);
    }
  },
);

/** `sub/a.jpg` under its own name and, left over, under its stand-in's; returns its entry and the latter name. */
async function twoNames(given: FolderOnDisk): Promise<{ readonly entry: Entry; readonly standIn: string }> {
  await standing(given, { "sub/a.jpg": "bytes" });
  const entry = given.entries.get("sub/a.jpg");
  assert.ok(entry);
  const standIn = twinName("sub/a.jpg", sha1Of);
  fs.linkSync(`${given.root}/sub/a.jpg`, `${given.root}/${standIn}`);
  return { entry, standIn };
}
const bookNothing = (): void => assert.fail("the file has its own name already");

onDisk(
  "freeTwin() DK05 DK07 where .satchel/ is on another file system a made-up name goes too, after a crash with the next start",
  async (given) => {
    const { entry, standIn } = await twoNames(given);
    const split = splitDisk(foldingDisk(given.disk));
    let dies = false;
    const disk = gated(split, (method) => {
      if (dies && method === "unlink") throw new Crash("killed");
    });
    await given.reopen({ disk, caps });
    dies = true;
    await assert.rejects(given.applier.freeTwin(entry, bookNothing), Crash);
    dies = false;
    await given.reopen({ disk, caps });
    await given.applier.recover([]);
    const left = (): unknown => [namesIn(given), fs.readdirSync(`${given.root}/sub`), textAt(given, "sub/a.jpg")];
    assert.deepEqual(left(), [["sub"], ["a.jpg"], "bytes"]);
    fs.linkSync(`${given.root}/sub/a.jpg`, `${given.root}/${standIn}`);
    assert.equal(await given.applier.freeTwin(entry, bookNothing), true);
    assert.deepEqual(left(), [["sub"], ["a.jpg"], "bytes"]);
  },
);

onDisk("freeTwin() N11 S9 CT10 a made-up name that is left over is not taken away through a symlinked folder", async (given) => {
  const { entry } = await twoNames(given);
  fs.renameSync(`${given.root}/sub`, `${given.home}/outside`);
  fs.symlinkSync(`${given.home}/outside`, `${given.root}/sub`);
  await folding(given);
  const before = fs.readdirSync(`${given.home}/outside`);
  await assert.rejects(
    given.applier.freeTwin(entry, bookNothing),
    (error: unknown) => error instanceof DiskError && error.fault === "symlink",
  );
  assert.deepEqual([before.length, fs.readdirSync(`${given.home}/outside`)], [2, before]);
});

onDisk(
  "openRootParts() FN10 a disk that can't be written now is asked by our directory's name whether it folds; unasked it is not guessed",
  async (given) => {
    const { rows, random } = openDevice("laptop", memoryRemote(new MemoryAccount())).parts;
    const refusing = (disk: typeof given.disk) =>
      gated(disk, (method, path) => {
        if (method === "caps") throw new DiskError("readOnly", `Could not try names in ${path}.`);
      });
    const open = async (disk: ReturnType<typeof refusing>) =>
      await openRootParts({ ...given, disk, random, compute: nodeCompute, rows, naming: "posix", fileMaxBytes: 1 << 20 });
    assert.equal((await open(refusing(given.disk))).applier.foldsNames, false);
    const capital = gated(given.disk, () => undefined);
    const folded = { ...capital, lstat: async (path: string) => await capital.lstat(path.replace(".SATCHEL", ".satchel")) };
    assert.equal((await open(refusing({ ...folded, close: async () => await Promise.resolve() }))).applier.foldsNames, true);
    fs.rmSync(`${given.root}/.satchel`, { recursive: true });
    await assert.rejects(open(refusing(given.disk)), DiskError);
  },
);
