import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { METHODS, type MethodName, type ParamsOf, type ResultOf } from "../protocol/api/table.ts";
import type { ServiceFile } from "../protocol/config.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { until } from "./support/children.ts";
import { codeOf, Peer } from "./support/rpc-peer.ts";
import { readServiceFile } from "./support/rpc.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { PASSWORD, startSyncServer, type SyncServer } from "./support/sync-server.ts";

const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex");

/** A device: its service as a process, its folder, and a connection. */
type Device = { readonly satchel: Satchel; readonly peer: Peer; readonly file: ServiceFile; readonly folder: () => string };

suite("every method, on a real service with a real server", () => {
  let server: SyncServer;
  let one: Device;
  let two: Device;
  const asked = new Set<string>();
  let folder = "";
  let otherFolder = "";
  let remote = "";

  async function device(): Promise<Device> {
    const satchel = await makeSatchel();
    await satchel.run();
    const file = await readServiceFile(satchel.home);
    assert.ok(file !== undefined);
    return { satchel, file, peer: await Peer.unix(file.socket, file.token), folder: () => satchel.root };
  }
  before(async () => {
    [server, one, two] = await Promise.all([startSyncServer({ kind: "satchel" }, 1), device(), device()]);
  });
  after(async () => {
    await Promise.all([one.peer.close(), two.peer.close()]);
    await Promise.all([one.satchel.close(), two.satchel.close()]);
    await server.close();
  });

  async function ask<Name extends MethodName>(name: Name, params: ParamsOf<Name>): Promise<ResultOf<Name>> {
    asked.add(name);
    return await one.peer.ask(name, params);
  }
  const refusal = async (name: MethodName, params: unknown): Promise<unknown> => codeOf(await one.peer.call(name, params));
  const put = async (where: Device, name: string, text: string): Promise<void> => {
    await mkdir(path.dirname(path.join(where.satchel.root, name)), { recursive: true });
    await writeFile(path.join(where.satchel.root, name), text);
  };
  const read = async (where: Device, name: string): Promise<string> => await readFile(path.join(where.satchel.root, name), "utf8");
  const synced = async (): Promise<string> => (await ask("sync/run", { folder })).runs[0]?.result ?? "none";
  const otherSynced = async (): Promise<void> => {
    const [run] = (await two.peer.ask("sync/run", { folder: otherFolder })).runs;
    assert.equal(run?.error, null);
  };

  test("service/hello status doctor metrics, rpc.discover", async () => {
    const nonce = "0123456789abcdef";
    const hello = await ask("service/hello", { nonce, client: "a test" });
    assert.equal(hello.proof, createHmac("sha256", one.file.serviceKey).update(`satchel-hello:${nonce}`).digest("hex"));
    assert.equal(hello.pid, one.file.pid);
    const status = await ask("service/status", {});
    assert.deepEqual([status.service.port, status.folders], [one.file.port, []]);
    assert.ok((await ask("service/doctor", {})).checks.length >= 4);
    assert.match((await ask("service/metrics", {})).text, /^# HELP \S+/m);
    assert.equal((await ask("rpc.discover", {})).openrpc, "1.3.2");
  });

  test("tokens/create list revoke", async () => {
    const made = await ask("tokens/create", { name: "script", scope: "read" });
    const script = await Peer.tcp(one.file.port ?? 0, made.token);
    assert.equal(codeOf(await script.call("service/shutdown")), ErrorCode.Forbidden);
    const kept = path.join(one.satchel.home, "tokens.json");
    assert.equal((await stat(kept)).mode & 0o777, 0o600);
    assert.ok(!(await readFile(kept, "utf8")).includes(made.token.slice(13)));
    assert.deepEqual(
      (await ask("tokens/list", {})).tokens.map(({ name }) => name),
      ["script"],
    );
    assert.deepEqual(await ask("tokens/revoke", { id: made.id }), { closed: 1 });
    await assert.rejects(Peer.tcp(one.file.port ?? 0, made.token), /401/);
  });

  test("remotes/login list test", async () => {
    assert.equal(await refusal("remotes/login", { url: server.url, user: "user1", password: "wrong" }), ErrorCode.Auth);
    ({ remote } = await ask("remotes/login", { url: server.url, user: "user1", password: PASSWORD }));
    assert.deepEqual((await ask("remotes/list", {})).remotes, [{ id: remote, url: server.url, user: "user1", signedIn: true }]);
    assert.equal((await ask("remotes/test", { remote })).ok, true);
    await two.peer.ask("remotes/login", { url: server.url, user: "user1", password: PASSWORD });
  });

  test("folders/add list get, sync/plan apply: what was shown, or nothing", async () => {
    await put(one, "a.png", "first");
    const added = await ask("folders/add", { root: one.satchel.root, paused: true });
    folder = added.folder;
    assert.deepEqual([added.remote, added.state], [remote, "paused"]);
    assert.deepEqual(
      (await ask("folders/list", {})).folders.map((row) => row.folder),
      [folder],
    );
    const plan = await ask("sync/plan", { folder });
    assert.deepEqual(
      plan.actions.map((action) => action.path),
      ["a.png"],
    );
    await put(one, "b.png", "second");
    assert.equal(await refusal("sync/apply", { folder, hash: plan.hash }), ErrorCode.PlanDrifted);
    const shown = await ask("sync/plan", { folder });
    const run = await ask("sync/apply", { folder, hash: shown.hash, progressToken: 7 });
    assert.deepEqual([run.result, run.uploadedFiles], ["insync", 2]);
    assert.equal((await ask("folders/get", { folder })).files, 2);
  });

  test("sync/resume pause run runs cancel", async () => {
    await ask("sync/resume", { folder });
    await ask("sync/pause", { folder });
    assert.equal(await refusal("sync/run", { folder }), ErrorCode.FolderPaused);
    await ask("sync/resume", { folder });
    assert.equal(await synced(), "insync");
    await ask("sync/cancel", { folder });
    assert.equal((await ask("sync/runs", { folder })).runs[0]?.uploadedFiles, 2);
    otherFolder = (await two.peer.ask("folders/add", { root: two.satchel.root })).folder;
    await otherSynced();
    assert.equal(await read(two, "a.png"), "first");
  });

  test("files/add list find explain rename, changes/list", async () => {
    await put(one, "sub/c.png", "third");
    assert.equal((await ask("files/add", { folder, path: "sub/c.png" })).sha1, sha1("third"));
    const found = await ask("files/find", { folder, sha1: sha1("third") });
    assert.equal(found.file?.path, "sub/c.png");
    // On the server before it goes: what never was there leaves no tombstone to tell of.
    assert.equal(await synced(), "insync");
    assert.equal((await ask("files/rename", { folder, from: "sub/c.png", to: "sub/d.png" })).path, "sub/d.png");
    assert.equal(await refusal("files/rename", { folder, from: "sub/d.png", to: "a.png" }), ErrorCode.Exists);
    assert.equal(await synced(), "insync");
    const { files } = await ask("files/list", { folder, after: "a.png", limit: 2 });
    assert.deepEqual(
      files.map((row) => [row.path, row.state]),
      [
        ["b.png", "synced"],
        ["sub/d.png", "synced"],
      ],
    );
    const why = await ask("files/explain", { folder, path: "sub/d.png" });
    assert.deepEqual([why.local, why.remote, why.base, why.wireName], [sha1("third"), sha1("third"), sha1("third"), "sub~2f_d.png"]);
    await otherSynced();
    const gone = (await two.peer.ask("files/explain", { folder: otherFolder, path: "sub/c.png" })).deleted;
    assert.ok(gone !== null && gone.by !== null && gone.by !== "" && gone.atMs > 0, "our server names the device");
    assert.equal((await ask("files/explain", { folder, path: "sub/d.png" })).deleted, null);
    const { changes } = await ask("changes/list", { folder });
    assert.ok(changes.some((row) => row.path === "sub/d.png" && row.kind === "put"));
    assert.deepEqual((await ask("changes/list", { since: changes.at(-1)?.seq ?? 0 })).changes, []);
    await otherSynced();
    assert.equal(await read(two, "sub/d.png"), "third");
  });

  test("versions/list read restore, sync/undo: what a run replaced comes back", async () => {
    const old = "x".repeat(600_000);
    await put(one, "big.bin", old);
    assert.equal(await synced(), "insync");
    await otherSynced();
    await put(two, "big.bin", "from the other device");
    await otherSynced();
    assert.equal(await synced(), "insync");
    assert.equal(await read(one, "big.bin"), "from the other device");
    const [kept] = (await ask("versions/list", { folder, path: "big.bin" })).versions;
    assert.deepEqual([kept?.sha1, kept?.sizeBytes], [sha1(old), old.length]);
    const parts: Buffer[] = [];
    for (let offsetBytes = 0; ;) {
      const { base64, lengthBytes } = await ask("versions/read", { sha1: sha1(old), offsetBytes });
      if (lengthBytes === 0) break;
      assert.ok(lengthBytes <= 512 * 1024);
      parts.push(Buffer.from(base64, "base64"));
      offsetBytes += lengthBytes;
    }
    assert.equal(sha1(Buffer.concat(parts).toString()), sha1(old));
    assert.equal(parts.length, 2);
    assert.deepEqual((await ask("sync/undo", { folder, preview: true })).undone, ["big.bin"]);
    assert.equal(await read(one, "big.bin"), "from the other device");
    assert.deepEqual((await ask("sync/undo", { folder })).undone, ["big.bin"]);
    assert.equal(await read(one, "big.bin"), old);
    const back = await ask("versions/restore", { folder, path: "big.bin", sha1: sha1("from the other device") });
    assert.equal(back.sha1, sha1("from the other device"));
    assert.equal(await read(one, "big.bin"), "from the other device");
    assert.equal(await synced(), "insync");
  });

  test("versions/removed: what another device deleted can be found and restored", async () => {
    await otherSynced();
    await rm(path.join(two.satchel.root, "b.png"));
    await otherSynced();
    assert.equal(await synced(), "insync");
    assert.deepEqual(
      (await ask("versions/removed", { folder })).versions.map((row) => row.path),
      ["b.png", "sub/c.png"],
    );
    await ask("versions/restore", { folder, path: "b.png" });
    assert.equal(await read(one, "b.png"), "second");
    assert.equal(await synced(), "insync");
  });

  test("conflicts/list get resolve", async () => {
    await otherSynced();
    await ask("sync/pause", { folder });
    await put(one, "a.png", "mine");
    await put(two, "a.png", "theirs");
    await otherSynced();
    await ask("sync/resume", { folder });
    await synced(); // or the run that resuming began: one of them met the conflict
    const [conflict] = (await ask("conflicts/list", { folder })).conflicts;
    assert.ok(conflict !== undefined);
    const told = await ask("conflicts/get", { id: conflict.id });
    assert.deepEqual([told.mine.sha1, told.theirs.sha1, told.base?.sha1], [sha1("mine"), sha1("theirs"), sha1("first")]);
    assert.equal((await ask("conflicts/resolve", { id: conflict.id, keep: "mine" })).resolution, "mine");
    assert.equal(await read(one, "a.png"), "mine");
    assert.equal(await refusal("conflicts/get", { id: 999_999 }), ErrorCode.ConflictNotFound);
    assert.equal(await synced(), "insync");
  });

  test("guard/list reject approve: another set than the one that was shown is refused (WS19)", async () => {
    const names = Array.from({ length: 20 }, (_, at) => `many${String(at)}.png`);
    await Promise.all(names.map(async (name) => await put(one, name, name)));
    assert.equal(await synced(), "insync");
    const away = async () => await Promise.all(names.map(async (name) => await rm(path.join(one.satchel.root, name))));
    await away();
    assert.equal(await synced(), "held");
    const [hold] = (await ask("guard/list", { folder })).holds;
    assert.ok(hold !== undefined);
    assert.deepEqual(hold.paths.length, 20);
    assert.equal(await refusal("guard/approve", { id: hold.id, hash: "stale" }), ErrorCode.HoldChanged);
    await ask("guard/reject", { id: hold.id, hash: hold.hash });
    assert.equal(await synced(), "insync");
    assert.equal(await read(one, "many7.png"), "many7.png");
    assert.equal(await refusal("guard/approve", { id: hold.id, hash: hold.hash }), ErrorCode.HoldNotFound);
    await away();
    assert.equal(await synced(), "held");
    const [again] = (await ask("guard/list", {})).holds;
    await ask("guard/approve", { id: again?.id ?? 0, hash: again?.hash ?? "" });
    assert.equal(await synced(), "insync");
    // Approved here; the other device has a guard of its own.
    await otherSynced();
    assert.equal(await read(two, "many7.png"), "many7.png");
    assert.deepEqual(
      (await two.peer.ask("guard/list", {})).holds.map((row) => row.paths.length),
      [20],
    );
  });

  test("events/list subscribe unsubscribe: one sequence, and the same by both ways", async () => {
    const { events, lastSeq, gap } = await ask("events/list", {});
    assert.deepEqual([gap, events.at(-1)?.seq], [false, lastSeq]);
    const kinds = new Set(events.map(({ kind }) => kind));
    for (const kind of ["folder/added", "run", "conflict", "conflict/resolved", "guard/held", "guard/approved", "guard/rejected", "undo"])
      assert.ok(kinds.has(kind), `${kind} of ${[...kinds].join()}`);
    await ask("events/subscribe", { since: 0, progress: true });
    await one.peer.eventCount(events.length);
    assert.deepEqual(
      one.peer
        .events()
        .slice(0, events.length)
        .map(({ seq }) => seq),
      events.map(({ seq }) => seq),
    );
    await ask("events/unsubscribe", {});
  });

  test("notes/check clean: missing, unused, and no network path (WS15)", async () => {
    const notes = path.join(one.satchel.home, "notes");
    await mkdir(notes, { recursive: true });
    await writeFile(
      path.join(notes, "n.md"),
      `![a](${path.join(one.satchel.root, "a.png")}) ![gone](${path.join(one.satchel.root, "gone.png")})\n`,
    );
    const told = await ask("notes/check", { folder, notes: [notes] });
    assert.deepEqual(
      [told.notes, told.references, told.missing.map((row) => [row.path, row.facts.deletion])],
      [1, 2, [["gone.png", null]]],
    );
    assert.deepEqual(told.unread, []);
    assert.deepEqual(
      told.unused.map((row) => row.path),
      ["b.png", "sub/d.png"],
    );
    const cleaned = await ask("notes/clean", { folder, notes: [notes], paths: ["b.png", "a.png"] });
    assert.deepEqual([cleaned.removed, cleaned.skipped.map((row) => row.path)], [["b.png"], ["a.png"]]);
    assert.deepEqual((await ask("sync/undo", { folder })).undone, ["b.png"]);
    assert.equal(await refusal("notes/check", { folder, notes: ["//attacker/share"] }), ErrorCode.InvalidParams);
  });

  test("folders/update: a root that was moved is named with what was shown (WS19); the files are known again", async () => {
    const moved = `${one.satchel.root}-moved`;
    const shown = await ask("folders/get", { folder });
    await rename(one.satchel.root, moved);
    assert.equal(await refusal("folders/update", { folder, root: moved }), ErrorCode.InvalidParams);
    assert.equal(await refusal("folders/update", { folder, root: moved, hash: "stale" }), ErrorCode.FolderChanged);
    assert.equal((await ask("folders/update", { folder, root: moved, hash: shown.hash })).root, moved);
    const run = (await ask("sync/run", { folder })).runs[0];
    assert.deepEqual([run?.result, run?.uploadedFiles, run?.downloadedFiles, run?.deletedRemote], ["insync", 0, 0, 0]);
    assert.equal((await ask("folders/update", { folder, policy: "remote-wins" })).policy, "remote-wins");
    await ask("folders/remove", { folder });
    assert.equal(await refusal("folders/get", { folder }), ErrorCode.FolderNotFound);
    assert.equal(await readFile(path.join(moved, "a.png"), "utf8"), "mine");
    await rm(moved, { recursive: true });
  });

  test("remotes/logout, service/shutdown", async () => {
    await ask("remotes/logout", { remote });
    assert.equal((await ask("remotes/list", {})).remotes.find(({ id }) => id === remote)?.signedIn ?? false, false);
    await ask("service/shutdown", {});
    await until("the service's file is gone", async () => (await readServiceFile(one.satchel.home)) === undefined);
  });

  test("none was left out", () =>
    assert.deepEqual(
      METHODS.map(({ name }) => name).filter((name) => !asked.has(name)),
      [],
    ));
});
