import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";

import Database from "better-sqlite3";
import * as fc from "fast-check";

import { openChangeLog } from "../service/store/change-log.ts";
import { openDatabase } from "../service/store/database.ts";
import { StoreError } from "../service/store/errors.ts";
import { openEvents } from "../service/store/events.ts";
import { rebuildIfCorrupt, setAside } from "../service/store/health.ts";
import { lockHolder, rootLockPath, takeLock } from "../service/store/lock.ts";
import { fromText, toText } from "../service/store/name-text.ts";
import { openState, type StateStore } from "../service/store/open.ts";
import { prepareMarks } from "../service/store/pending.ts";
import { APPLICATION_ID, MIGRATIONS } from "../service/store/schema.ts";
import { Session } from "../service/store/session.ts";
import { changeOf, directory, entry, faultOf, memory, remoteRow, sha } from "./support/store-rows.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

test("names DB11 NUL, lone surrogates, numeric-looking and any other strings come back equal, from every tree", (t) => {
  const { state, folder } = memory(t);
  const names = [
    "a\0b",
    "a",
    "a\0",
    "1",
    "01",
    "1.0",
    " 1",
    "1e3",
    "\uD800",
    "\uDC00x\uD800",
    "\u{10FFFF}",
    "\u{10FFFF}@",
    "\uFFFF=d800",
    "'; DROP TABLE entry;--",
  ];
  state.transaction(() => {
    for (const name of names) {
      folder.entries.put(entry(name, "x", { diskPath: `${name}\uDBFF` }));
      folder.remote.put(remoteRow(name, "x", { wireName: `w${name}` }), 1);
      folder.base.put(name, null);
    }
  });
  assert.deepEqual(new Set([...folder.entries.all()].map((each) => each.path)), new Set(names));
  for (const name of names) {
    assert.equal(folder.entries.get(name)?.diskPath, `${name}\uDBFF`);
    assert.equal(folder.remote.byWireName(`w${name}`)?.path, name);
    assert.equal(folder.base.get(name), null);
  }
});

test("toText() DB11 is reversible for every string, and its bytes sort as code units do", () => {
  const any = fc.string({ unit: "binary" });
  const units = fc.array(fc.constantFrom("a", "@", "=", "d800", "\uD800", "\uDFFF", "\uE000", "\uFFFF", "\u{1F600}", "\u{10FFFF}", "\0"));
  const strings = fc.oneof(
    any,
    units.map((parts) => parts.join("")),
  );
  fc.assert(fc.property(strings, (name) => fromText(toText(name)) === name && toText(name).isWellFormed()));
  const wellFormed = strings.filter((name) => name.isWellFormed());
  fc.assert(
    fc.property(wellFormed, wellFormed, (a, b) => {
      const byUnits = a < b ? -1 : a > b ? 1 : 0;
      return Buffer.compare(Buffer.from(toText(a)), Buffer.from(toText(b))) === byUnits;
    }),
  );
});

test("openDatabase() an image of a file in WAL mode opens in memory, without a log of its own", (t) => {
  const schema = { applicationId: 7, migrations: ["CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);"] };
  const { db } = openDatabase(path.join(directory(t), "state.db"), schema);
  const image = openDatabase(db.serialize(), schema).db;
  assert.deepEqual(
    [db, image].map((each) => each.pragma("journal_mode", { simple: true })),
    ["wal", "memory"],
  );
  assert.deepEqual(
    [db, image].map((each) => each.pragma("synchronous", { simple: true })),
    [2, 2],
  );
  assert.equal(image.prepare("SELECT x FROM a").pluck().get(), 1);
  db.close();
  image.close();
});

test("openState() DB06 a second owner is refused as busy, and the first goes on", (t) => {
  const file = path.join(directory(t), "state.db");
  const state = openState({ path: file, now: () => 0 });
  assert.equal(
    faultOf(() => openState({ path: file, now: () => 0 })),
    "busy",
  );
  state.transaction(() => state.folder("f").entries.put(entry("a")));
  state.close();
});

test("openState() DB08 a schema from the future is refused and left as it is; another program's database too", (t) => {
  const file = path.join(directory(t), "state.db");
  openState({ path: file, now: () => 0 }).close();
  const db = new Database(file);
  db.pragma(`user_version = ${MIGRATIONS.length + 1}`);
  db.close();
  const before = readFileSync(file);
  assert.throws(
    () => openState({ path: file, now: () => 0 }),
    (error: unknown) => error instanceof StoreError && error.fault === "future" && error.message.includes("newer"),
  );
  assert.deepEqual(readFileSync(file), before);
  const foreign = path.join(directory(t), "other.db");
  const other = new Database(foreign);
  other.exec("CREATE TABLE t (a)");
  other.close();
  assert.equal(
    faultOf(() => rebuildIfCorrupt({ path: foreign, now: () => 0 })),
    "other",
  );
});

test("openDatabase() DB08 copies before it migrates, and after a failed step goes on from the last whole one", (t) => {
  const file = path.join(directory(t), "state.db");
  const one = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);";
  const two = "INSERT INTO a VALUES (2);";
  openDatabase(file, { applicationId: 7, migrations: [one] }).db.close();
  assert.equal(
    faultOf(() =>
      openDatabase(file, { applicationId: 7, migrations: [one, two, "INSERT INTO a VALUES (3); INSERT INTO nowhere VALUES (1);"] }),
    ),
    "other",
  );
  const values = (name: string): unknown => {
    const db = new Database(name, { readonly: true });
    const found = [db.pragma("user_version", { simple: true }), ...db.prepare<[], number>("SELECT x FROM a").pluck().all()];
    db.close();
    return found;
  };
  assert.deepEqual(values(file), [2, 1, 2]);
  assert.deepEqual(values(`${file}.before-v3`), [1, 1]);
  openDatabase(file, { applicationId: 7, migrations: [one, two, "INSERT INTO a VALUES (3);"] }).db.close();
  assert.deepEqual(values(file), [3, 1, 2, 3]);
  assert.deepEqual(values(`${file}.before-v3`), [2, 1, 2]);
});

test("settle() S20 writes a page that waits for the disk, though no row changes; so does the commit that settles by the way", (t) => {
  const file = path.join(directory(t), "state.db");
  const state = openState({ path: file, now: () => 0 });
  t.after(() => state.close());
  const folder = state.folder("f1");
  const put = (): void => {
    folder.ignoreRules.put("rules");
  };
  state.transaction(put);
  const settlers: readonly (readonly [what: string, settle: () => void])[] = [
    ["settle()", () => state.settle()],
    ["a commit that puts what stands there already", () => state.transaction(put)],
  ];
  for (const [what, settle] of settlers) {
    state.transaction(() => folder.changes.append(changeOf(what, what)), "soon");
    const before = statSync(`${file}-wal`).size;
    settle();
    assert.equal(state.settled, true, what);
    // SQLite flushes its log where it appends to it, and only there.
    assert.ok(statSync(`${file}-wal`).size > before, `${what}: nothing was written, so nothing waited for the disk`);
  }
});

test("Session DB10 a full disk throws `full`, takes the transaction back, and the state goes on", (t) => {
  const { db } = openDatabase(path.join(directory(t), "state.db"), { applicationId: APPLICATION_ID, migrations: MIGRATIONS });
  t.after(() => db.close());
  const session = new Session(db);
  const { mark } = prepareMarks(session);
  const folder = session.folder("f");
  db.pragma(`max_page_count = ${Number(db.pragma("page_count", { simple: true })) + 4}`);
  const add = session.write("mark", (name: string) => mark(folder, name));
  const fill = (count: number): void => {
    for (let index = 0; index < count; index++) add(`${index}`.padStart(200, "x"));
  };
  assert.equal(
    faultOf(() => session.transaction(() => fill(5000))),
    "full",
  );
  assert.deepEqual([folder.pending, folder.key, db.inTransaction], [0, 0, false]);
  session.transaction(() => fill(10));
  assert.deepEqual([folder.pending, db.prepare("SELECT count(*) FROM pending").pluck().get()], [10, 10]);
});

/** While `full`, whatever is written fails as on a full disk. */
class LimitedSession extends Session {
  full = false;
  override transaction<T>(work: () => T, when: "now" | "soon" = "now"): T {
    if (this.full) throw new StoreError("full", "Could not write to the state: no room.");
    return super.transaction(work, when);
  }
  override settle(): void {
    if (this.full && !this.settled) throw new StoreError("full", "Could not write to the state: no room.");
    super.settle();
  }
}

test("a full disk DB10 S20 takes no answer away: the past is told as far as it is durable, a path's changes are found unfiled", (t) => {
  const { db } = openDatabase(path.join(directory(t), "state.db"), { applicationId: APPLICATION_ID, migrations: MIGRATIONS });
  t.after(() => db.close());
  const session = new LimitedSession(db);
  const log = openChangeLog(session);
  const events = openEvents(session);
  const folder = session.folder("f");
  const changes = log.ofFolder(folder);
  const add = (name: string, when: "now" | "soon"): void => {
    session.transaction(() => {
      changes.append(changeOf(name, name));
      events.append("local/changed", "f", { name }, 1);
    }, when);
  };
  const told = (): unknown => [
    events.lastSeq(),
    ...[events.since(0, 1000).events, log.since(0, 1000, null), log.since(0, 1000, folder)].map((rows) => rows.map(({ seq }) => seq)),
  ];
  const upTo = (last: number): unknown => {
    const seqs = Array.from({ length: last }, (_, index) => index + 1);
    return [last, seqs, seqs, seqs];
  };
  const seqsOf = (name: string): readonly number[] => changes.ofPath(name, 5).map(({ seq }) => seq);
  const filed = db.prepare<[], number>("SELECT count(*) FROM change_by_path").pluck();
  for (let count = 1; count <= 99; count++) add(`${count}.png`, "now");
  add("100.png", "soon");
  add("101.png", "soon");
  session.full = true;
  assert.deepEqual(told(), upTo(99));
  assert.deepEqual([seqsOf("7.png"), seqsOf("101.png"), changes.knows("7.png", sha("7.png"))], [[7], [101], true]);
  assert.deepEqual([session.settled, filed.get()], [false, 0]);
  session.full = false;
  assert.deepEqual(told(), upTo(101));
  assert.deepEqual([seqsOf("7.png"), seqsOf("101.png")], [[7], [101]]);
  assert.deepEqual([session.settled, filed.get()], [true, 101]);
});

/** A state with a thousand entries whose middle pages are overwritten; header and schema are whole. */
function damaged(t: TestContext): string {
  const file = path.join(directory(t), "state.db");
  const state = openState({ path: file, now: () => 0 });
  state.transaction(() => {
    for (let count = 0; count < 2000; count++) state.folder("f").entries.put(entry(`name-${count}.png`));
  });
  state.close();
  const bytes = readFileSync(file);
  bytes.fill(0xa5, 40 * 4096, bytes.length - 4096);
  writeFileSync(file, bytes);
  return file;
}

test("reads DB10 a damaged page throws `corrupt`, and is never taken for an absent row", async (t) => {
  const file = damaged(t);
  const state = openState({ path: file, now: () => 0 });
  let corrupt = 0;
  for (let count = 0; count < 2000; count++) {
    try {
      assert.notEqual(state.folder("f").entries.get(`name-${count}.png`), undefined);
    } catch (error) {
      assert.ok(error instanceof StoreError && error.fault === "corrupt", String(error));
      corrupt++;
    }
  }
  assert.ok(corrupt > 0);
  assert.equal(
    faultOf(() => [...state.folder("f").entries.all()]),
    "corrupt",
  );
  assert.notEqual(await state.quickCheck(async () => {}), null);
  assert.equal(state.checkDue(), true);
  state.close();
});

test("rebuildIfCorrupt() N6 sets a damaged database aside under a dated name, begins anew and says what was lost", (t) => {
  const file = path.join(directory(t), "state.db");
  const now = (): number => Date.UTC(2026, 0, 2, 3, 4, 5);
  const whole = rebuildIfCorrupt({ path: file, now });
  assert.deepEqual([whole.lost, whole.state.fresh], [null, true]);
  whole.state.transaction(() => whole.state.folder("f").entries.put(entry("a")));
  whole.state.close();
  const again = rebuildIfCorrupt({ path: file, now });
  assert.deepEqual([again.lost, again.state.fresh, again.state.folder("f").entries.totals().files], [null, false, 1]);
  again.state.close();
  for (const suffix of ["", "-2"]) {
    writeFileSync(file, Buffer.alloc(8192, 0x5a));
    const { state, lost } = rebuildIfCorrupt({ path: file, now });
    assert.equal(lost?.movedTo, `${file}.corrupt-20260102T030405Z${suffix}`);
    assert.match(lost?.reason ?? "", /damaged/);
    assert.deepEqual(readFileSync(lost?.movedTo ?? ""), Buffer.alloc(8192, 0x5a));
    assert.deepEqual([state.fresh, state.folder("f").entries.totals().files], [true, 0]);
    state.close();
  }
});

test("setAside() moves the log along with its database", (t) => {
  const file = path.join(directory(t), "state.db");
  writeFileSync(file, "db");
  writeFileSync(`${file}-wal`, "wal");
  const target = setAside(file, 0);
  assert.deepEqual([existsSync(file), existsSync(`${file}-wal`), readFileSync(`${target}-wal`, "utf8")], [false, false, "wal"]);
  assert.equal(
    faultOf(() => setAside(file, 0)),
    "io",
  );
});

test("checkDue() after an unclean stop and weekly, not in between", async (t) => {
  const file = path.join(directory(t), "state.db");
  let nowMs = 100 * DAY_MS;
  const reopened = (): StateStore => openState({ path: file, now: () => nowMs });
  let state = reopened();
  assert.deepEqual([state.fresh, state.stoppedCleanly], [true, true]);
  assert.equal(await state.quickCheck(async () => {}), null);
  assert.equal(state.checkDue(), false);
  state.close();
  nowMs += 6 * DAY_MS;
  state = reopened();
  assert.deepEqual([state.fresh, state.stoppedCleanly, state.checkDue()], [false, true, false]);
  const untouched = openState({ path: state.serialize(), now: () => nowMs });
  assert.deepEqual([untouched.stoppedCleanly, untouched.checkDue()], [true, false], "nothing was written, so nothing can be half");
  untouched.close();
  state.transaction(() => state.folder("f").entries.put(entry("a")));
  const crashed = openState({ path: state.serialize(), now: () => nowMs });
  assert.deepEqual([crashed.stoppedCleanly, crashed.checkDue()], [false, true]);
  assert.equal(await crashed.quickCheck(async () => {}), null);
  assert.equal(crashed.checkDue(), false);
  crashed.close();
  nowMs += 2 * DAY_MS;
  assert.equal(state.checkDue(), true);
  state.close();
});

/** Starts a child that runs `code` (a module; `root` is this repository) and resolves with its lines as they come. */
function child(code: string, args: readonly string[]): { lines: AsyncIterator<string>; kill: () => Promise<void> } {
  const root = pathToFileURL(`${path.resolve(import.meta.dirname, "..")}/`).href;
  const source = `const root = ${JSON.stringify(root)};\n${code}`;
  const program = spawn(process.execPath, ["--input-type=module", "-e", source, "--", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => program.once("exit", () => resolve()));
  const lines = (async function* () {
    let rest = "";
    for await (const chunk of program.stdout.setEncoding("utf8")) {
      const parts = (rest + String(chunk)).split("\n");
      rest = parts.pop() ?? "";
      yield* parts;
    }
  })();
  return {
    lines,
    kill: async () => {
      program.kill("SIGKILL");
      await ended;
    },
  };
}

const WRITER = `
const { openState } = await import(root + "service/store/open.ts");
const state = openState({ path: process.argv[1], now: () => 0 });
const folder = state.folder("f");
for (let round = folder.entries.totals().files / 20; ; round++) {
  state.transaction(() => {
    for (let n = 0; n < 20; n++) {
      const path = round + "-" + n;
      const sha1 = String(round * 20 + n).padStart(40, "0");
      folder.entries.put({ path, sizeBytes: 1, mtimeNs: 1, ctimeNs: 1, fileId: 1, sha1, diskPath: null, racy: false });
      folder.changes.append({ path, kind: "put", sha1, sizeBytes: 1, origin: "user", atMs: 1 });
    }
  });
  process.stdout.write(round + "\\n");
}`;

test("openState() DB01 killed at any moment: acknowledged commits stand whole, nothing half, the chain holds (N5, S20)", async (t) => {
  const file = path.join(directory(t), "state.db");
  for (let life = 1; life <= 3; life++) {
    const writer = child(WRITER, [file]);
    let acknowledged = -1;
    for (let count = 0; count < 10 * life; count++) acknowledged = Number((await writer.lines.next()).value);
    await writer.kill();
    const state = openState({ path: file, now: () => 0 });
    const folder = state.folder("f");
    const { files } = folder.entries.totals();
    assert.equal(state.stoppedCleanly, false);
    assert.ok(files % 20 === 0 && files / 20 > acknowledged, `${files} files after round ${acknowledged}`);
    assert.equal([...folder.entries.all()].length, files);
    assert.equal(folder.pending.count(), files);
    assert.equal(folder.changes.since(0, 1_000_000).length, files);
    assert.equal(state.checkChangeLog(), null);
    assert.equal(await state.quickCheck(async () => {}), null);
    state.close();
  }
});

test("takeLock() PR20 excludes this process and others, names the holder, and is freed by any death", async (t) => {
  const file = path.join(directory(t), "deep", "state.lock");
  const mine = takeLock(file);
  assert.ok(mine !== null);
  assert.equal(takeLock(file), null);
  assert.equal(lockHolder(file), String(process.pid));
  assert.equal(mine.stillHeld(), true);
  mine.release();
  mine.release();
  assert.equal(lockHolder(file), null);
  const holder = child(
    `const { takeLock } = await import(root + "service/store/lock.ts");
     console.log(takeLock(process.argv[1]) === null ? "refused" : String(process.pid)); setInterval(() => {}, 1000);`,
    [file],
  );
  const pid = String((await holder.lines.next()).value);
  assert.match(pid, /^\d+$/);
  assert.equal(takeLock(file), null);
  assert.equal(lockHolder(file), pid);
  await holder.kill();
  const after = takeLock(file);
  assert.ok(after !== null);
  assert.deepEqual(readdirSync(path.dirname(file)).toSorted(), ["state.lock", "state.lock.pid"]);
  rmSync(file);
  assert.equal(after.stillHeld(), false);
  after.release();
});

test("takeLock() a place that can't be locked throws instead of looking free or taken", (t) => {
  const base = directory(t);
  writeFileSync(path.join(base, "file"), "");
  assert.equal(
    faultOf(() => takeLock(path.join(base, "file", "state.lock"))),
    "io",
  );
  assert.equal(
    faultOf(() => takeLock(base)),
    "io",
  );
});

test("rootLockPath() is one per (dev, ino), in a directory of ours alone", { skip: process.platform === "win32" }, (t) => {
  const base = directory(t);
  const lock = rootLockPath({ tmpDir: base, dev: 5, ino: 77 });
  assert.equal(lock, path.join(base, `satchel-${process.getuid?.()}`, "5-77.lock"));
  const trap = directory(t);
  writeFileSync(path.join(trap, `satchel-${process.getuid?.()}`), "");
  assert.equal(
    faultOf(() => rootLockPath({ tmpDir: trap, dev: 5, ino: 77 })),
    "io",
  );
});
