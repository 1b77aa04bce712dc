import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import type { ApplyStep } from "../service/core/local.ts";
import type { Entry } from "../service/core/model.ts";
import { assertAtRest, done, intentOf, keptText, onDisk, put, remove, standing, textAt } from "./support/apply-steps.ts";
import { Crash, gated, mortalDisk } from "./support/failing-disk.ts";
import { foldingDisk } from "./support/folding-disk.ts";
import { openFolderOnDisk, sha1Of, type FolderOnDisk } from "./support/folder-on-disk.ts";

/** The folder of the crash tests, and what the four steps make of it. */
const BEFORE: Readonly<Record<string, string>> = { "over.png": "over", "both.png": "mine", "gone.png": "gone" };
const AFTER: Readonly<Record<string, string | null>> = { "new.png": "N", "over.png": "O", "both.png": "theirs", "gone.png": null };

async function crashSteps(given: FolderOnDisk): Promise<ApplyStep[]> {
  return [
    await put(given, "new.png", "N"),
    await put(given, "over.png", "O"),
    await put(given, "both.png", "theirs", { copyTo: "both.conflict.png" }),
    remove(given, "gone.png"),
  ];
}

test("recover() N5 N1 killed at any call of commit, and again at any call of recover: one state, nothing lost", async () => {
  let ended = false;
  for (let calls = 0; !ended; calls += 1) {
    const given = await openFolderOnDisk();
    try {
      await standing(given, BEFORE);
      const steps = await crashSteps(given);
      const intents = steps.map(intentOf);
      const first = mortalDisk(given.disk);
      await given.reopen({ disk: first.disk });
      first.dieAfter(calls);
      try {
        await given.applier.commit(steps, "r1");
        ended = true;
      } catch (error) {
        assert.ok(error instanceof Crash, String(error));
      }
      const second = mortalDisk(given.disk);
      await given.reopen({ disk: second.disk });
      second.dieAfter((calls * 7) % 40);
      await given.applier.recover(intents).catch((error: unknown) => assert.ok(error instanceof Crash, String(error)));
      await given.reopen();
      const outcomes = await given.applier.recover(intents);
      for (const { intent, done: isDone, entry: now } of outcomes) {
        const text = textAt(given, intent.path);
        const after = AFTER[intent.path];
        const before = BEFORE[intent.path] ?? null;
        assert.ok(text === after || text === before, `${intent.path} is ${String(text)} (after ${calls} calls)`);
        assert.equal(isDone, text === after, `${intent.path} (after ${calls} calls)`);
        if (isDone && intent.sha1 !== null) assert.equal(now?.sha1, intent.sha1);
        if (before !== null && text !== before) assert.ok(await keptText(given, before), `${before} is kept (after ${calls} calls)`);
      }
      await given.applier.discard(outcomes.flatMap(({ intent, done: isDone }) => (isDone || intent.temp === null ? [] : [intent.temp])));
      assertAtRest(given);
    } finally {
      await given.close();
    }
  }
});

onDisk("recover() N3 a file that was put and then edited before the restart counts as put", async (given) => {
  await standing(given, { "a.png": "a" });
  const step = await put(given, "a.png", "A");
  done((await given.applier.commit([step], "r1"))[0]);
  fs.writeFileSync(`${given.root}/a.png`, "edited after");
  await given.reopen();
  const [outcome] = await given.applier.recover([intentOf(step)]);
  assert.equal(outcome?.done, true);
  assert.equal(outcome.entry?.sha1, sha1Of("edited after"));
});

onDisk("recover() N3 a step that was refused because of an edit counts as not done", async (given) => {
  await standing(given, { "a.png": "a" });
  const step = await put(given, "a.png", "A");
  fs.writeFileSync(`${given.root}/a.png`, "edited before");
  // The engine dies before it forgets the intent: no turn of the loop has passed since the result.
  given.clock.asleep = true;
  assert.deepEqual(await given.applier.commit([step], "r1"), [{ kind: "changed" }]);
  await given.reopen();
  const [outcome] = await given.applier.recover([intentOf(step)]);
  assert.equal(outcome?.done, false);
  assert.equal(textAt(given, "a.png"), "edited before");
  // It could not be recorded, and the user goes on editing: the staged file must still say that nothing was put.
  fs.writeFileSync(`${given.root}/a.png`, "edited once more");
  const [again] = await given.applier.recover([intentOf(step)]);
  assert.equal(again?.done, false);
  await given.applier.discard(step.kind === "put" ? [step.temp] : []);
  assertAtRest(given);
});

onDisk("recover() DK07 N1 sweeps all of ours, keeps what is nowhere else, leaves user files", async (given) => {
  fs.writeFileSync(`${given.root}/.satchel-notes.txt`, "a user's file of an odd name");
  fs.writeFileSync(`${given.root}/.satchel/put-1`, "staged");
  fs.writeFileSync(`${given.root}/.satchel/del-0123456789abcdef-77`, "on its way out");
  fs.writeFileSync(`${given.root}/.satchel-${"0".repeat(32)}.tmp`, "beside");
  assert.deepEqual(await given.applier.recover([]), []);
  assertAtRest(given);
  assert.deepEqual(fs.readdirSync(given.root).toSorted(), [".satchel", ".satchel-notes.txt"]);
  assert.ok(await keptText(given, "on its way out"));
  assert.ok(await keptText(given, "beside"));
  assert.ok(!(await keptText(given, "staged")));
});

onDisk("recover() N1 what is on its way out goes only after the name of its kept bytes is durable", async (given) => {
  await standing(given, { "a.png": "the same bytes" });
  done((await given.applier.commit([remove(given, "a.png")], "r1"))[0]);
  const left = `${given.root}/.satchel/del-0123456789abcdef-77`;
  fs.writeFileSync(left, "the same bytes");
  const shelf = `${given.home}/versions/${sha1Of("the same bytes").slice(0, 2)}`;
  const calls: string[] = [];
  await given.reopen({ disk: gated(given.disk, (method, path) => void calls.push(`${method} ${path}`)) });
  await given.applier.recover([]);
  const [durable, gone] = [calls.indexOf(`fsyncDir ${shelf}`), calls.indexOf(`unlink ${left}`)];
  assert.ok(durable !== -1 && durable < gone, calls.slice(-12).join("\n"));
  assertAtRest(given);
});

onDisk("recover() N1 of several on their way out, none goes before the shelf of its kept bytes is durable", async (given) => {
  const texts = ["one's bytes", "two's bytes"] as const;
  const lefts = texts.map((text, index) => {
    const left = `${given.root}/.satchel/del-0123456789abcdef-${String(index)}`;
    fs.writeFileSync(left, text);
    return left;
  });
  const calls: string[] = [];
  await given.reopen({ disk: gated(given.disk, (method, path) => void calls.push(`${method} ${path}`)) });
  await given.applier.recover([]);
  for (const [index, text] of texts.entries()) {
    const shelf = `${given.home}/versions/${sha1Of(text).slice(0, 2)}`;
    const [shelved, durable, gone] = [
      calls.indexOf(`rename ${shelf}/${sha1Of(text)}`),
      calls.indexOf(`fsyncDir ${shelf}`),
      calls.indexOf(`unlink ${lefts[index] ?? ""}`),
    ];
    assert.ok(shelved !== -1 && shelved < durable && durable < gone, calls.join("\n"));
  }
  assertAtRest(given);
});

onDisk("commit() N1 new/ is made durable only after the shelves that its files went to, a filing under way included", async (given) => {
  await standing(given, { "a.png": "first bytes", "b.png": "second bytes" });
  const filing = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const shelf = `${given.home}/versions/${sha1Of("first bytes").slice(0, 2)}`;
  const fresh = `${given.home}/versions/new`;
  const calls: string[] = [];
  const disk = gated(given.disk, async (method, path) => {
    calls.push(`${method} ${path}`);
    if (method !== "rename" || path !== `${shelf}/${sha1Of("first bytes")}`) return;
    filing.resolve();
    await goOn.promise;
  });
  await given.reopen({ disk });
  const first = given.applier.commit([remove(given, "a.png")], "r1");
  await filing.promise;
  calls.length = 0;
  const second = given.applier.commit([remove(given, "b.png")], "r2");
  // The second one comes as far as it can: its bytes are held, and what is asked of the disk then is asked in the turns that follow.
  while (!calls.some((call) => call.startsWith(`fsyncFile ${fresh}/`))) await given.disk.lstat(given.root);
  for (let turn = 0; turn < 20; turn += 1) await given.disk.lstat(given.root);
  assert.ok(!calls.includes(`fsyncDir ${fresh}`), "a name that is on its way is not made to have left");
  goOn.resolve();
  for (const results of await Promise.all([first, second])) done(results[0]);
  const [shelved, left] = [calls.indexOf(`fsyncDir ${shelf}`), calls.indexOf(`fsyncDir ${fresh}`)];
  assert.ok(shelved !== -1 && shelved < left, calls.join("\n"));
  assertAtRest(given);
});

onDisk("recover() S14 without the marker nothing is concluded and nothing swept", async (given) => {
  await standing(given, { "a.png": "a" });
  const step = remove(given, "a.png");
  fs.renameSync(given.root, `${given.home}/unmounted`);
  fs.mkdirSync(given.root);
  assert.deepEqual(await given.applier.recover([intentOf(step)]), [], "no outcome: the intent stays until the folder is back");
});

onDisk("commit() FN10 S16 the later of two twins stands beside the first; each keeps its path, edits and deletion", async (given) => {
  await standing(given, { "A.jpg": "first" });
  await given.reopen({ disk: foldingDisk(given.disk), caps: { foldsCase: true, foldsNormalization: false } });
  const result = done((await given.applier.commit([await put(given, "a.jpg", "second")], "r1"))[0]);
  assert.ok(result.entry);
  given.entries.set("a.jpg", result.entry);
  const twin = result.entry.diskPath;
  assert.match(twin ?? "", /^a\.twin-[0-9a-f]{4}\.jpg$/);
  assert.deepEqual([textAt(given, "A.jpg"), textAt(given, twin ?? "")], ["first", "second"]);
  assert.deepEqual(await given.scan(), [], "the twin is no new file");
  fs.writeFileSync(`${given.root}/${twin}`, "second edited");
  given.tree.hint(twin);
  assert.deepEqual(await given.dirty(300), ["put a.jpg"]);
  const again = done((await given.applier.commit([await put(given, "a.jpg", "third")], "r2"))[0]);
  if (again.entry) given.entries.set("a.jpg", again.entry);
  assert.deepEqual([textAt(given, "A.jpg"), textAt(given, twin ?? "")], ["first", "third"]);
  const removed = done((await given.applier.commit([remove(given, "A.jpg")], "r3"))[0]);
  assert.equal(removed.kept?.sha1, sha1Of("first"));
  given.entries.delete("A.jpg");
  assert.deepEqual([fs.existsSync(`${given.root}/A.jpg`), textAt(given, twin ?? "")], [false, "third"]);
  fs.rmSync(`${given.root}/${twin}`);
  assert.deepEqual([...(await given.scan()), ...(await given.dirty(3_000))], ["gone a.jpg"]);
});

/** `A.jpg`, and `a.jpg` beside it under a made-up name; then `A.jpg` goes. Returns the made-up name. */
async function lonelyTwin(given: FolderOnDisk): Promise<string> {
  await standing(given, { "A.jpg": "first" });
  await given.reopen({ disk: foldingDisk(given.disk), caps: { foldsCase: true, foldsNormalization: false } });
  const { entry } = done((await given.applier.commit([await put(given, "a.jpg", "second")], "r1"))[0]);
  assert.ok(entry?.diskPath);
  given.entries.set("a.jpg", entry);
  return entry.diskPath;
}

onDisk("freeTwin() FN10 a twin whose other went gets its own name, and is the same file to all that look", async (given) => {
  const twin = await lonelyTwin(given);
  const entry = given.entries.get("a.jpg");
  assert.ok(entry);
  const book = (now: Entry): void => void given.entries.set(now.path, now);
  assert.equal(await given.applier.freeTwin(entry, book), false, "its name is taken");
  done((await given.applier.commit([remove(given, "A.jpg")], "r2"))[0]);
  given.entries.delete("A.jpg");
  assert.equal(await given.applier.freeTwin(entry, book), true);
  assert.deepEqual(fs.readdirSync(given.root).toSorted(), [".satchel", "a.jpg"]);
  assert.deepEqual([textAt(given, "a.jpg"), given.entries.get("a.jpg")?.diskPath], ["second", null]);
  given.tree.hint(twin);
  given.tree.hint("a.jpg");
  assert.deepEqual([...(await given.scan()), ...(await given.dirty(5_000))], ["touched a.jpg"], "nobody sees a change");
  fs.writeFileSync(`${given.root}/a.jpg`, "edited");
  given.tree.hint("a.jpg");
  assert.deepEqual(await given.dirty(300), ["put a.jpg"]);
});

onDisk("freeTwin() N1 whoever took the name meanwhile keeps it; a twin that was edited waits for the next look", async (given) => {
  const twin = await lonelyTwin(given);
  const entry = given.entries.get("a.jpg");
  assert.ok(entry);
  fs.rmSync(`${given.root}/A.jpg`);
  const racing = gated(foldingDisk(given.disk), (method, path) => {
    if (method === "link" && path === `${given.root}/a.jpg`) fs.writeFileSync(path, "a program's own");
  });
  await given.reopen({ disk: racing, caps: { foldsCase: true, foldsNormalization: false } });
  assert.equal(await given.applier.freeTwin(entry, () => assert.fail("booked")), false);
  assert.deepEqual([textAt(given, "a.jpg"), textAt(given, twin)], ["a program's own", "second"]);
  fs.rmSync(`${given.root}/a.jpg`);
  fs.writeFileSync(`${given.root}/${twin}`, "second, edited");
  assert.equal(await given.applier.freeTwin(entry, () => assert.fail("booked")), false);
  assert.equal(textAt(given, twin), "second, edited");
});

test("freeTwin() N5 killed at any call: the bytes stand under one name or both, and the next try ends it", async () => {
  let ended = false;
  for (let calls = 0; !ended; calls += 1) {
    const given = await openFolderOnDisk();
    try {
      const twin = await lonelyTwin(given);
      const entry = given.entries.get("a.jpg");
      assert.ok(entry);
      fs.rmSync(`${given.root}/A.jpg`);
      const caps = { foldsCase: true, foldsNormalization: false };
      const mortal = mortalDisk(foldingDisk(given.disk));
      await given.reopen({ disk: mortal.disk, caps });
      mortal.dieAfter(calls);
      let booked: Entry = entry;
      const book = (now: Entry): void => void (booked = now);
      try {
        await given.applier.freeTwin(entry, book);
        ended = true;
      } catch (error) {
        assert.ok(error instanceof Crash, String(error));
      }
      assert.equal(textAt(given, booked.diskPath ?? "a.jpg"), "second", `the row's file stands (after ${calls} calls)`);
      await given.reopen({ disk: foldingDisk(given.disk), caps });
      if (booked.diskPath !== null) assert.equal(await given.applier.freeTwin(entry, book), true);
      assert.equal(textAt(given, "a.jpg"), "second");
      if (booked === entry) assert.ok(!fs.existsSync(`${given.root}/${twin}`));
    } finally {
      await given.close();
    }
  }
});

onDisk("observeAll() FN11 a rename by case alone on a folding disk: the new name is put, the old one goes", async (given) => {
  await standing(given, { "a.jpg": "same" });
  await given.reopen({ disk: foldingDisk(given.disk), caps: { foldsCase: true, foldsNormalization: false } });
  assert.deepEqual(await given.scan(), []);
  fs.renameSync(`${given.root}/a.jpg`, `${given.root}/A.jpg`);
  given.tree.hint("a.jpg");
  given.tree.hint("A.jpg");
  assert.deepEqual(await given.dirty(300), ["put A.jpg"]);
  assert.deepEqual(await given.dirty(3_000), ["gone a.jpg"]);
  assert.equal(textAt(given, "A.jpg"), "same");
});
