import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import type { ApplyStep } from "../service/core/local.ts";
import { assertAtRest, done, intentOf, keptText, onDisk, put, remove, standing, textAt } from "./support/apply-steps.ts";
import { Crash, mortalDisk } from "./support/failing-disk.ts";
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
