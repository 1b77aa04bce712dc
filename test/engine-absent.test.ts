/** Files that are away, and not yet known to be gone. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { runFolder } from "../service/engine/run.ts";
import { sha1 } from "./support/memory-folder.ts";
import { assertConverged, pair } from "./support/memory-pair.ts";

test("planNow() N3 the old bytes of a file that has just gone away are no agreement: what others write there meanwhile is not deleted", async () => {
  const { account, a, b } = pair();
  a.folder.write("p", "one");
  await a.sync();
  await b.sync();
  // Recorded with other bytes and gone since, which no look has concluded yet.
  const recorded = b.folder.entryOf("p");
  assert.ok(recorded !== null);
  b.parts.state.transaction(() => b.parts.rows.entries.put({ ...recorded, sha1: sha1(Buffer.from("two")) }));
  b.folder.files.delete("p");
  b.folder.restless.add("p");
  a.folder.write("p", "two");
  await a.sync();
  await runFolder(b.parts, { scan: false, rehash: false, waitSettle: false, ask: true, origin: "user" }, AbortSignal.any([]));
  assert.equal(b.parts.rows.base.get("p"), sha1(Buffer.from("one")));
  b.folder.restless.clear();
  await b.sync();
  await a.sync();
  assert.equal(a.folder.text("p"), "two");
  assertConverged(account, a, b);
});
