/**
 * The bare minimum that carries a folder to a server: list, read, SHA-1, store-only zip, HTTP POST; SQLite on both sides. No reconcile,
 * no watcher, no crash journal, no login. What the product needs beyond this time is the price of its promises.
 * `prototype.ts serve DIR` prints its port; `prototype.ts upload FOLDER PORT DB` prints milliseconds.
 */
import { hash } from "node:crypto";
import { closeSync, fdatasyncSync, fstatSync, lstatSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import path from "node:path";
import { crc32 } from "node:zlib";

import Database from "better-sqlite3";

/** Where batches are cut: bytes of files, and entries. */
const BATCH_BYTES = 4 << 20;
const BATCH_FILES = 1000;
const IN_FLIGHT = 2;
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;

type Row = { readonly name: string; readonly sha1: string; readonly sizeBytes: number; readonly offset: number };

function openDatabase(file: string): Database.Database {
  const db = new Database(file);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.exec("CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, sha1 TEXT, size INTEGER, at INTEGER) STRICT, WITHOUT ROWID");
  return db;
}

function recorder(db: Database.Database): (rows: readonly Row[]) => void {
  const put = db.prepare("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)");
  return db.transaction((rows: readonly Row[]) => {
    for (const { name, sha1, sizeBytes, offset } of rows) put.run(name, sha1, sizeBytes, offset);
  });
}

/** A zip under construction in one reused buffer. */
class Batch {
  bytes = Buffer.alloc(BATCH_BYTES * 2);
  used = 0;
  central: Buffer[] = [];
  rows: Row[] = [];

  /** Reads the open file straight into its place behind a local header. */
  add(name: string, handle: number, sizeBytes: number): void {
    const label = Buffer.from(name);
    const need = this.used + 30 + label.length + sizeBytes;
    if (need > this.bytes.length) this.bytes = Buffer.concat([this.bytes, Buffer.alloc(need)]);
    const head = this.used;
    const start = head + 30 + label.length;
    readSync(handle, this.bytes, start, sizeBytes, 0);
    const data = this.bytes.subarray(start, start + sizeBytes);
    const crc = crc32(data);
    this.bytes.writeUInt32LE(LOCAL, head);
    this.bytes.fill(0, head + 4, head + 14);
    this.bytes.writeUInt32LE(crc, head + 14);
    this.bytes.writeUInt32LE(sizeBytes, head + 18);
    this.bytes.writeUInt32LE(sizeBytes, head + 22);
    this.bytes.writeUInt16LE(label.length, head + 26);
    this.bytes.writeUInt16LE(0, head + 28);
    label.copy(this.bytes, head + 30);
    const record = Buffer.alloc(46 + label.length);
    record.writeUInt32LE(CENTRAL, 0);
    record.writeUInt32LE(crc, 16);
    record.writeUInt32LE(sizeBytes, 20);
    record.writeUInt32LE(sizeBytes, 24);
    record.writeUInt16LE(label.length, 28);
    record.writeUInt32LE(head, 42);
    label.copy(record, 46);
    this.central.push(record);
    this.rows.push({ name, sha1: hash("sha1", data), sizeBytes, offset: start });
    this.used = start + sizeBytes;
  }

  finish(): Buffer {
    const end = Buffer.alloc(22);
    const central = Buffer.concat(this.central);
    end.writeUInt32LE(END, 0);
    end.writeUInt16LE(this.rows.length, 8);
    end.writeUInt16LE(this.rows.length, 10);
    end.writeUInt32LE(central.length, 12);
    end.writeUInt32LE(this.used, 16);
    return Buffer.concat([this.bytes.subarray(0, this.used), central, end]);
  }

  get full(): boolean {
    return this.used >= BATCH_BYTES || this.rows.length >= BATCH_FILES;
  }

  clear(): void {
    this.used = 0;
    this.central = [];
    this.rows = [];
  }
}

async function post(agent: Agent, port: number, body: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const sent = request({ agent, port, host: "127.0.0.1", method: "POST", headers: { "content-length": body.length } }, (reply) => {
      reply.resume().on("end", () => (reply.statusCode === 200 ? resolve() : reject(new Error(`status ${String(reply.statusCode)}`))));
    });
    sent.on("error", reject).end(body);
  });
}

async function upload(folder: string, port: number, database: string): Promise<number> {
  const begun = performance.now();
  const record = recorder(openDatabase(database));
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const flying = new Set<Promise<void>>();
  const batch = new Batch();
  const send = async (): Promise<void> => {
    const rows = batch.rows;
    const sent = post(agent, port, batch.finish())
      .then(() => record(rows))
      .finally(() => flying.delete(sent));
    flying.add(sent);
    batch.clear();
    await (flying.size >= IN_FLIGHT ? Promise.race(flying) : new Promise(setImmediate));
  };
  for (const name of readdirSync(folder)) {
    const file = `${folder}/${name}`;
    if (!lstatSync(file).isFile()) continue;
    const handle = openSync(file, "r");
    batch.add(name, handle, fstatSync(handle).size);
    closeSync(handle);
    if (batch.full) await send();
  }
  if (batch.rows.length > 0) await send();
  await Promise.all(flying);
  agent.destroy();
  return performance.now() - begun;
}

/** Checks every member and returns its row; offsets are those in the zip. */
function unpack(body: Buffer): Row[] {
  const end = body.length - 22;
  let at = body.readUInt32LE(end + 16);
  const rows: Row[] = [];
  for (let left = body.readUInt16LE(end + 10); left > 0; left--) {
    const nameBytes = body.readUInt16LE(at + 28);
    const sizeBytes = body.readUInt32LE(at + 24);
    const name = body.toString("utf8", at + 46, at + 46 + nameBytes);
    const offset = body.readUInt32LE(at + 42) + 30 + nameBytes;
    const data = body.subarray(offset, offset + sizeBytes);
    if (crc32(data) !== body.readUInt32LE(at + 16)) throw new Error(`broken member ${name}`);
    rows.push({ name, sha1: hash("sha1", data), sizeBytes, offset });
    at += 46 + nameBytes;
  }
  return rows;
}

/** Batches go behind one another into a pack: one fdatasync and one durable commit each. */
function serve(folder: string): void {
  const record = recorder(openDatabase(path.join(folder, "rows.db")));
  const pack = openSync(path.join(folder, "pack"), "a");
  let packed = 0;
  const server = createServer((from, to) => {
    const chunks: Buffer[] = [];
    from.on("data", (chunk: Buffer) => chunks.push(chunk));
    from.on("end", () => {
      const body = Buffer.concat(chunks);
      const rows = unpack(body);
      writeSync(pack, body);
      fdatasyncSync(pack);
      record(rows.map((row) => ({ ...row, offset: packed + row.offset })));
      packed += body.length;
      to.end();
    });
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    process.stdout.write(`${String(typeof address === "object" && address !== null ? address.port : 0)}\n`);
  });
}

const [what, folder, port, database] = process.argv.slice(2);
if (what === "serve" && folder !== undefined) serve(folder);
else if (what === "upload" && folder !== undefined && port !== undefined && database !== undefined)
  process.stdout.write(`${(await upload(folder, Number(port), database)).toFixed(1)}\n`);
else process.exitCode = 2;
