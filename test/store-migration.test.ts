import assert from "node:assert/strict";
import path from "node:path";
import { test, type TestContext } from "node:test";

import { openDatabase } from "../service/store/database.ts";
import { openState } from "../service/store/open.ts";
import { APPLICATION_ID, MIGRATIONS } from "../service/store/schema.ts";
import { changeOf, directory, entry, pendingPaths, remoteRow, sha } from "./support/store-rows.ts";

/** A file as a service of schema version 4 left it: three trees, pending paths, intents and a log, whose chain is not what this is about. */
function ofVersion4(t: TestContext): string {
  const file = path.join(directory(t), "state.db");
  const { db } = openDatabase(file, { applicationId: APPLICATION_ID, migrations: MIGRATIONS.slice(0, 4) });
  const [x, y, z] = ["x", "y", "z"].map((text) => `x'${sha(text)}'`);
  db.exec(`
    INSERT INTO folder (key, id, files, bytes, remote_live, base_live, pending) VALUES (1, 'f', 2, 3, 1, 1, 2);
    INSERT INTO entry (folder, path, size_bytes, mtime_ns, ctime_ns, file_id, sha1, disk_path, racy)
      VALUES (1, 'a', 1, 1.7e18, 1.8e18, 9, ${x}, 'A', 0), (1, 'b', 2, 5, 6, 7, ${y}, NULL, 1);
    INSERT INTO remote_entry (folder, path, wire_name, sha1, usn, size_bytes, generation) VALUES (1, 'b', 'w', ${y}, 4, 2, 3), (1, 'c', NULL, NULL, 5, NULL, 1);
    INSERT INTO base (folder, path, sha1) VALUES (1, 'b', ${y}), (1, 'd', NULL);
    INSERT INTO pending (folder, path) VALUES (1, 'a'), (1, 'e');
    INSERT INTO upload_intent (id, folder, path, sha1, run) VALUES (7, 1, 'a', ${x}, 'r1'), (8, 1, 'a', NULL, 'r2');
    INSERT INTO apply_intent (folder, path, sha1, expect_sha1, temp, moves_base, origin, run) VALUES (1, 'p', ${z}, NULL, '/t', 1, 'apply', 'r3');`);
  const insert = db.prepare(
    "INSERT INTO change (seq, folder, path, path_hash, kind, sha1, origin, at_ms) VALUES (?, 1, ?, ?, 'put', unhex(?), 'user', 0)",
  );
  // The hash of folder 1 and the name "a", as that version wrote it.
  for (let seq = 1; seq <= 200; seq++) insert.run(seq, seq % 2 === 0 ? "a" : "b", seq % 2 === 0 ? HASH_OF_A : HASH_OF_B, sha(`${seq}`));
  db.prepare("INSERT INTO change_link (first_seq, last_seq, hash) VALUES (1, 200, zeroblob(32))").run();
  db.close();
  return file;
}
const HASH_OF_A = Math.imul(0x811c9dc5 ^ 1 ^ 97, 0x01000193) >>> 0;
const HASH_OF_B = Math.imul(0x811c9dc5 ^ 1 ^ 98, 0x01000193) >>> 0;

test("openState() DB08 a state of schema version 4 says the same, with its log filed and its intents in batches", (t) => {
  const state = openState({ path: ofVersion4(t), now: () => 0 });
  const folder = state.folder("f");
  const a = entry("a", "x", { mtimeNs: 1.7e18, ctimeNs: 1.8e18, fileId: 9, diskPath: "A" });
  const b = entry("b", "y", { sizeBytes: 2, mtimeNs: 5, ctimeNs: 6, fileId: 7, racy: true });
  assert.deepEqual([...folder.entries.all()], [a, b]);
  assert.deepEqual(
    [...folder.remote.all()],
    [remoteRow("b", "y", { wireName: "w", sizeBytes: 2, usn: 4 }), remoteRow("c", null, { usn: 5 })],
  );
  assert.deepEqual(
    ["a", "b", "c", "d"].map((name) => folder.base.get(name)),
    [undefined, sha("y"), undefined, null],
  );
  assert.deepEqual([[...folder.base.livePaths()], pendingPaths(folder), folder.pending.count()], [["b"], ["a", "e"], 2]);
  assert.deepEqual(
    folder.uploadIntents.ofPath("a").map(({ sha1, run }) => [sha1, run]),
    [
      [sha("x"), "r1"],
      [null, "r2"],
    ],
  );
  const intent = { path: "p", sha1: sha("z"), expectSha1: null, temp: "/t", movesBase: true, origin: "apply", run: "r3" };
  assert.deepEqual(folder.applyIntents.all(), [intent]);
  const seqs = (): readonly number[] => folder.changes.ofPath("a", 2).map((change) => change.seq);
  assert.deepEqual(seqs(), [200, 198]);
  state.transaction(() => {
    folder.changes.append(changeOf("a", "late"));
    assert.equal(folder.remote.removeOlderThan(2).join(), "c");
  });
  assert.deepEqual(seqs(), [201, 200]);
  assert.deepEqual(
    ["2", "late", "3"].map((text) => folder.changes.knows("a", sha(text))),
    [true, true, false],
  );
  state.close();
});
