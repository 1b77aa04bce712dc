/** What every Remote must do, whichever server stands behind it. Run it with `remoteContract(name, make)` from a test file. */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { RemoteError, type Download, type FeedRow, type Remote, type Upload } from "../service/core/ports.ts";

/** A server with one empty account. */
export type RemoteUnderTest = {
  /** A remote of the account, for another device each time. */
  device(): Promise<Remote>;
  /** A remote with a key that the server does not know. */
  stranger(): Promise<Remote>;
  close(): Promise<void>;
};

const never = new AbortController().signal;

/** An upload of these bytes, or a deletion; `base`: what is believed to stand there. */
function entry(name: string, content: string | Uint8Array | null, base: string | null = null): Upload {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return { name, bytes, sha1: bytes === null ? null : hash("sha1", bytes), baseSha1: base === null ? null : hash("sha1", base) };
}

async function readAll(remote: Remote, position: string): Promise<{ rows: FeedRow[]; position: string }> {
  const rows: FeedRow[] = [];
  let at = position;
  for await (const page of remote.feed(position, never)) {
    rows.push(...page.rows);
    assert.ok(Number(page.position) > Number(at), "a page moves the position");
    at = page.position;
  }
  return { rows, position: at };
}

async function fetchAll(remote: Remote, names: readonly string[]): Promise<Map<string, Download>> {
  const got = new Map<string, Download>();
  for await (const download of remote.download(names, never)) {
    assert.ok(!got.has(download.name), `${download.name} comes once`);
    got.set(download.name, download);
  }
  return got;
}

function textOf(download: Download | undefined): string {
  return download?.kind === "bytes" ? Buffer.from(download.bytes).toString() : `(${download?.kind ?? "nothing"})`;
}

/** Registers the suite. `make` is called once; the tests build on one another's files, so they run in order. */
export function remoteContract(label: string, make: () => Promise<RemoteUnderTest>): void {
  describe(`Remote contract: ${label}`, () => {
    let server: RemoteUnderTest;
    let mine: Remote;
    let theirs: Remote;
    before(async () => {
      server = await make();
      mine = await server.device();
      theirs = await server.device();
    });
    after(async () => {
      await mine.close();
      await theirs.close();
      await server.close();
    });

    test("state() feed() of an empty account: position 0, no page, verify agrees on none", async () => {
      assert.equal((await mine.state(never)).position, "0");
      await theirs.state(never);
      assert.deepEqual(await readAll(mine, "0"), { rows: [], position: "0" });
      assert.equal(await mine.verify(0, never), "ok");
      assert.equal(await mine.verify(1, never), "differs");
    });

    test("upload() what was put there comes back in the other device's feed and download, byte for byte", async () => {
      const names = ["a.mp3", "é ü.txt", "日本語.png", "sub~2f_b.bin"];
      const batch = names.map((name, index) => entry(name, `content ${index}`));
      assert.deepEqual(await mine.upload(batch, never), [{ kind: "done" }, { kind: "done" }, { kind: "done" }, { kind: "done" }]);
      const { rows } = await readAll(theirs, "0");
      const byName = (list: readonly { readonly name: string; readonly sha1: string | null }[]) =>
        Object.fromEntries(list.map(({ name, sha1 }) => [name, sha1]));
      assert.deepEqual(byName(rows), byName(batch));
      assert.equal(rows.length, 4);
      for (const row of rows) assert.ok(row.sizeBytes === null || row.sizeBytes === 9, "a size that is told is right");
      const got = await fetchAll(theirs, names);
      assert.deepEqual(
        names.map((name) => textOf(got.get(name))),
        ["content 0", "content 1", "content 2", "content 3"],
      );
      assert.equal(await theirs.verify(4, never), "ok");
    });

    test("feed() ascends, begins after the position, and is empty at its end", async () => {
      const { rows, position } = await readAll(mine, "0");
      assert.deepEqual(
        rows,
        rows.toSorted((a, b) => a.usn - b.usn),
      );
      assert.deepEqual(await readAll(mine, position), { rows: [], position });
      assert.equal((await mine.state(never)).position, position);
      assert.deepEqual(await mine.upload([entry("later.txt", "later")], never), [{ kind: "done" }]);
      assert.deepEqual(
        (await readAll(mine, position)).rows.map(({ name }) => name),
        ["later.txt"],
      );
    });

    test("upload() a deletion leaves a tombstone; deleting what is not there is done as well", async () => {
      const { position } = await readAll(mine, "0");
      const results = await mine.upload([entry("later.txt", null, "later"), entry("never-there.txt", null)], never);
      assert.deepEqual(results, [{ kind: "done" }, { kind: "done" }]);
      const { rows } = await readAll(theirs, position);
      assert.equal(rows.find(({ name }) => name === "later.txt")?.sha1, null);
      assert.equal(await theirs.verify(4, never), "ok");
    });

    test("upload() NW11 the same batch again changes nothing", async () => {
      const batch = [entry("twice.txt", "twice"), entry("later.txt", null)];
      await mine.upload(batch, never);
      assert.deepEqual(await mine.upload(batch, never), [{ kind: "done" }, { kind: "done" }]);
      assert.equal(textOf((await fetchAll(theirs, ["twice.txt"])).get("twice.txt")), "twice");
      await readAll(theirs, "0");
      assert.equal(await theirs.verify(5, never), "ok");
    });

    test("download() W10 names that are not there are missing, all others still come", async () => {
      const got = await fetchAll(mine, ["no-1", "a.mp3", "later.txt", "é ü.txt", "no-2", "a.mp3"]);
      assert.deepEqual(
        ["no-1", "later.txt", "no-2"].map((name) => got.get(name)?.kind),
        ["missing", "missing", "missing"],
      );
      assert.deepEqual(
        ["a.mp3", "é ü.txt"].map((name) => textOf(got.get(name))),
        ["content 0", "content 1"],
      );
      assert.deepEqual(await fetchAll(mine, []), new Map());
    });

    test("upload() download() many files and one larger than a batch", async () => {
      const many = Array.from({ length: 130 }, (_, index) => entry(`many-${index}.txt`, `number ${index}`));
      const { uploadEntries } = mine.limits;
      for (let at = 0; at < many.length; at += uploadEntries) await mine.upload(many.slice(at, at + uploadEntries), never);
      const large = Buffer.alloc(9 * 1024 * 1024, "0123456789abcdef!");
      assert.deepEqual(await mine.upload([entry("large.bin", large)], never), [{ kind: "done" }]);
      const got = await fetchAll(theirs, [...many.map(({ name }) => name), "large.bin"]);
      assert.equal(got.size, 131);
      assert.equal(textOf(got.get("many-77.txt")), "number 77");
      const received = got.get("large.bin");
      assert.ok(received?.kind === "bytes" && Buffer.compare(received.bytes, large) === 0);
    });

    test("upload() S3 conditional: a wrong belief is not taken, a right one is", async (t) => {
      if (!mine.can.conditionalUpload) return t.skip("this server can't");
      await mine.upload([entry("cond.txt", "one")], never);
      const results = await theirs.upload(
        [entry("cond.txt", "two", null), entry("cond.txt", null, "other"), entry("cond.txt", "three", "one")],
        never,
      );
      assert.deepEqual(results, [{ kind: "changed" }, { kind: "changed" }, { kind: "done" }]);
      assert.equal(textOf((await fetchAll(mine, ["cond.txt"])).get("cond.txt")), "three");
    });

    test("upload() download() tell of bytes as they move", async () => {
      const bytes = Buffer.alloc(1_500_000, "moving ");
      const moved = { up: 0, down: 0 };
      await mine.upload([entry("moving.bin", bytes)], never, (count) => (moved.up += count));
      for await (const download of theirs.download(["moving.bin"], never, (count) => (moved.down += count)))
        assert.equal(download.kind, "bytes");
      // On Anki's routes a frame may squeeze them.
      assert.ok(moved.up > 0 && moved.up < 2 * bytes.length, `${moved.up} bytes up`);
      assert.ok(moved.down > 0 && moved.down < 2 * bytes.length, `${moved.down} bytes down`);
    });

    test("versions() S1 what was replaced and removed is listed, newest first, and version() hands it out", async (t) => {
      if (!mine.can.versions) return t.skip("this server can't");
      await mine.upload([entry("kept.txt", "first")], never);
      await mine.upload([entry("kept.txt", "second", "first")], never);
      await mine.upload([entry("kept.txt", null, "second")], never);
      const kept = await theirs.versions("kept.txt", never);
      assert.deepEqual(
        kept.map(({ sha1, sizeBytes, why }) => [sha1, sizeBytes, why]),
        [
          [hash("sha1", "second"), 6, "removed"],
          [hash("sha1", "first"), 5, "replaced"],
        ],
      );
      assert.equal(Buffer.from(await theirs.version("kept.txt", hash("sha1", "first"), never)).toString(), "first");
      await assert.rejects(
        theirs.version("kept.txt", hash("sha1", "never"), never),
        (error) => error instanceof RemoteError && error.fault === "notFound",
      );
      assert.deepEqual(await theirs.versions("no such name", never), []);
    });

    test("follow() hears of another device's upload and ends when told", async (t) => {
      if (!mine.can.changeStream) return t.skip("this server can't");
      const stop = new AbortController();
      const { position } = await mine.state(never);
      const opened = Promise.withResolvers<string>();
      const heard = Promise.withResolvers<string>();
      const onChange = (told: string): void => {
        opened.resolve(told);
        if (told !== position) heard.resolve(told);
      };
      const following = mine.follow(position, onChange, stop.signal);
      assert.equal(await opened.promise, position, "it is open");
      await theirs.upload([entry("heard.txt", "heard")], never);
      assert.ok(Number(await heard.promise) > Number(position));
      stop.abort();
      await following;
    });

    test("RemoteError auth for a key that is not known; the signal's reason when aborted", async () => {
      const stranger = await server.stranger();
      await assert.rejects(stranger.state(never), (error) => error instanceof RemoteError && error.fault === "auth");
      const aborted = AbortSignal.abort(new Error("enough"));
      await assert.rejects(mine.state(aborted), /enough/);
      await assert.rejects(mine.upload([entry("no.txt", "no")], aborted), /enough/);
      await assert.rejects(mine.download(["a.mp3"], aborted)[Symbol.asyncIterator]().next(), /enough/);
      await stranger.close();
    });
  });
}
