/** What only the remote keeps of a path can be listed, read and put back here. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteError } from "../service/core/ports.ts";
import { openMemoryEngine } from "./support/memory-engine.ts";
import { sha1 } from "./support/memory-folder.ts";

const PATH = "sub/p.png";
const NAME = "sub~2f_p.png";

/** The remote keeps "first" and "second" of a path that has "third"; this device met it only then. */
async function openKept() {
  const memory = await openMemoryEngine(["f"], {
    before: ({ account, remote }) => {
      Object.assign(remote.can, { versions: true });
      for (const text of ["first", "second", "third"]) account.put(NAME, Buffer.from(text));
    },
  });
  await memory.clock.settle();
  const { folder, remote } = memory.at("f");
  assert.equal(folder.text(PATH), "third");
  remote.calls.length = 0;
  const read = async (text: string, path: string | null = PATH) =>
    Buffer.from(await memory.engine.versions.read({ sha1: sha1(text), folder: "f", path, offsetBytes: 1, lengthBytes: 3 })).toString();
  return { ...memory, folder, remote, read };
}

test("versions.list offers what the remote keeps, newest first, and says where it is", async () => {
  const { engine } = await openKept();
  const { versions, remoteDetail } = await engine.versions.list("f", PATH);
  assert.equal(remoteDetail, null);
  assert.deepEqual(
    versions.map(({ sha1: hashed, where, why, path, run }) => [hashed, where, why, path, run]),
    [
      [sha1("second"), "remote", "replaced", PATH, ""],
      [sha1("first"), "remote", "replaced", PATH, ""],
    ],
  );
  await engine.close();
});

test("versions.list bytes that are kept here as well are listed once, as ours", async () => {
  const { engine, folder, sync } = await openKept();
  folder.write(PATH, "fourth");
  await sync("f");
  await engine.versions.restore("f", PATH, sha1("first"));
  const { versions } = await engine.versions.list("f", PATH);
  const where = (text: string) => versions.filter((version) => version.sha1 === sha1(text)).map((version) => version.where);
  assert.ok(where("first").length > 0 && where("first").every((one) => one === "here"), "restored, so it is kept here now");
  assert.deepEqual(where("second"), ["remote"]);
  await engine.close();
});

test("versions.list a remote that can't be reached, or does not answer, is told of; what is kept here is shown", async () => {
  const { engine, clock, folder, remote, sync } = await openKept();
  folder.write(PATH, "fourth");
  await sync("f");
  await engine.versions.restore("f", PATH, sha1("third"));
  remote.before = () => {
    throw new RemoteError("offline", "Nobody answers there.");
  };
  const offline = await engine.versions.list("f", PATH);
  assert.match(offline.remoteDetail ?? "", /could not be asked.*Nobody answers/);
  assert.ok(offline.versions.length > 0 && offline.versions.every(({ where }) => where === "here"));
  remote.versions = async (_name, signal) => {
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(new RemoteError("offline", "aborted: the remote does not answer")), { once: true });
    return await promise;
  };
  const listing = engine.versions.list("f", PATH);
  await clock.advance(10_000);
  assert.match((await listing).remoteDetail ?? "", /does not answer/);
  await engine.close();
});

test("versions.read N8 bytes of the remote are fetched once, checked and kept", async () => {
  const { engine, remote, read, state } = await openKept();
  await assert.rejects(read("first", null), { fault: "versionNotFound" }, "without its path nobody can be asked");
  assert.equal(await read("first"), "irs");
  assert.equal(await read("first"), "irs");
  assert.deepEqual(remote.calls, ["version"]);
  assert.equal(state.folder("f").versions.ofPath(PATH)[0]?.why, "fetched");
  remote.version = async () => await Promise.resolve(Buffer.from("forged"));
  await assert.rejects(read("second"), /other bytes/);
  assert.equal(state.folder("f").versions.has(sha1("second")), false);
  await engine.close();
});

test("versions.read bytes that nobody keeps, and a remote that refuses", async () => {
  const { engine, remote, read } = await openKept();
  await assert.rejects(read("never"), { fault: "versionNotFound" });
  remote.before = () => {
    throw new RemoteError("auth", "The key is not accepted.");
  };
  await assert.rejects(read("first"), { fault: "auth" });
  await engine.close();
});

test("versions.restore puts back what only the remote keeps; without a hash the newest there; an undo takes it back", async () => {
  const { engine, clock, folder, at } = await openKept();
  assert.deepEqual(await engine.versions.restore("f", PATH, sha1("first")), { path: PATH, sha1: sha1("first") });
  assert.equal(folder.text(PATH), "first");
  await clock.advance(5_000);
  assert.equal(at("f").account.text(NAME), "first");
  await engine.close();

  const other = await openKept();
  assert.equal((await other.engine.versions.restore("f", PATH, null)).sha1, sha1("second"));
  assert.equal(other.folder.text(PATH), "second");
  await assert.rejects(other.engine.versions.restore("f", PATH, sha1("never")), /neither here nor on the remote/);
  await other.engine.close();
});

test("versions.restore a file that is gone on every device comes back from the remote", async () => {
  const { engine, clock, folder, at, sync } = await openKept();
  at("f").account.put(NAME, null);
  await sync("f");
  await clock.advance(5_000);
  for (const hold of engine.guard.list("f")) await engine.guard.approve(hold.id, hold.hash);
  await sync("f");
  assert.equal(folder.text(PATH), null);
  await engine.versions.restore("f", PATH, sha1("second"));
  await clock.advance(5_000);
  assert.equal(folder.text(PATH), "second");
  assert.equal(at("f").account.text(NAME), "second");
  await engine.close();
});
