/** Ignore rules that change: what was left alone under the old ones is met again under the new. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { carryOutRename } from "../service/engine/change-local.ts";
import { assertConverged, pair } from "./support/memory-pair.ts";

for (const when of ["while the service runs", "while it is stopped"] as const) {
  test(`runFolder() N9 FN27 a path that is no longer ignored catches up with what the remote did meanwhile; the rule went ${when}`, async () => {
    const { account, a, b } = pair();
    const names = ["edited", "deleted", "both", "untouched", "1", "2", "3", "4"];
    for (const name of names) a.folder.write(name, `${name} at first`);
    await a.sync();
    await b.sync();
    const ignored = ["edited", "deleted", "both", "new"];
    for (const name of ignored) b.ignored.add(name);
    await b.sync();
    a.folder.write("edited", "edited there");
    a.folder.write("new", "new there");
    a.folder.write("both", "both: there");
    a.folder.remove("deleted");
    await a.sync();
    b.folder.write("both", "both: here");
    await b.sync();
    assert.equal(b.folder.text("edited"), "edited at first");
    assert.equal(b.folder.text("deleted"), "deleted at first", "what is ignored is deleted nowhere");
    assert.equal(b.folder.text("new"), null);
    assert.equal(b.parts.rows.pending.count(), 0);

    b.ignored.clear();
    const again = when === "while it is stopped" ? await b.restart() : b;
    const end = await again.sync();
    assert.equal(end.summary.conflicts, 1, "what both sides changed is a conflict");
    await a.sync();
    assert.equal(again.folder.text("edited"), "edited there");
    assert.equal(again.folder.text("new"), "new there");
    assert.equal(again.folder.text("deleted"), null);
    assertConverged(account, a, again);
  });
}

test("files.rename N9 to a name that is never synced: refused with the reason, for under it the file would go from the other devices", async () => {
  const { account, a } = pair();
  a.folder.write("x.png", "x");
  await a.sync();
  const tooLong = `${"n".repeat(130)}.png`;
  a.ignored.add("x.tmp");
  for (const [to, words] of [
    ["x.tmp", /x\.tmp would not be synced: it is left alone by the x\.tmp\. Choose another name/],
    [tooLong, /would not be synced: .*14 bytes longer than the 120/],
  ] as const) {
    await assert.rejects(carryOutRename(a.parts, "x.png", to), { fault: "badPath", message: words });
  }
  await a.sync();
  assert.equal(account.text("x.png"), "x");
  assert.deepEqual([...a.folder.files.keys()], ["x.png"]);
});
