/** The sync server as a function: real storage in a directory of its own, cheap password hashes, a clock that a test moves. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { buildSyncHeader, SIZE_HEADER, SYNC_HEADER } from "../../protocol/anki/header.ts";
import { compressSync, decompressSync } from "../../protocol/anki/zstd.ts";
import { noFaults, type Disk, type FaultPoint, type Faults, type ServerHandle, type ServerRequest } from "../../service/core/ports.ts";
import { nodeCompute } from "../../service/files/compute.ts";
import { openNodeDisk } from "../../service/files/node-disk.ts";
import { makeAccounts, type AccountService } from "../../service/server/accounts.ts";
import { createHandle, type ServerOptions } from "../../service/server/handle.ts";
import { inflateStream } from "../../service/server/inflate-stream.ts";
import { openLocalStorage } from "../../service/server/local-storage.ts";
import { slowPasswords } from "../../service/server/passwords.ts";
import type { Storage } from "../../service/server/storage.ts";
import { ManualClock } from "./memory-device.ts";

const DISK_WORKER = new URL("../../service/files/disk-worker.ts", import.meta.url);
const secrets = (bytes: number): Uint8Array => randomBytes(bytes);

export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly payload: Buffer;
};
export type Asked = {
  readonly key?: string;
  readonly session?: string;
  /** What the client says it is; else Anki on Linux. */
  readonly client?: string;
  readonly method?: string;
  readonly query?: string;
  /** Instead of the header that key and session make. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The body as it stands on the wire; else `payload` in a frame. */
  readonly raw?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
};

export type SyncHandle = {
  readonly directory: string;
  readonly clock: ManualClock;
  readonly storage: Storage;
  readonly accounts: AccountService;
  readonly audits: readonly string[];
  readonly logs: readonly string[];
  readonly handle: ServerHandle;
  faults: Faults;
  /** Anki's routes in their frames, Satchel's and `raw` as they are. */
  ask(route: string, payload?: unknown, asked?: Asked): Promise<Reply>;
  /** The key of a new login. */
  login(user?: string): Promise<string>;
  /** `data` of a reply in the usual envelope. @throws AssertionError for any other status than 200 */
  data(route: string, payload: unknown, asked: Asked): Promise<unknown>;
  /** Closes the storage as a stop does and opens it again. */
  restart(): Promise<void>;
  /** After a test closed the storage by itself. */
  reopen(): Promise<void>;
  close(): Promise<void>;
};

export type HandleOptions = {
  readonly disk?: (disk: Disk) => Disk;
  readonly options?: Partial<ServerOptions>;
  readonly keepFreeBytes?: number;
  readonly packBytes?: number;
  readonly users?: readonly string[];
};

/** Accounts `user` and those asked for, password `pass`. */
export async function openSyncHandle(given: HandleOptions = {}): Promise<SyncHandle> {
  const directory = await mkdtemp(path.join(tmpdir(), "satchel-handle-"));
  const node = openNodeDisk({ diskWorker: DISK_WORKER });
  const disk = given.disk?.(node) ?? node;
  const clock = new ManualClock();
  const audits: string[] = [];
  const logs: string[] = [];
  const faults: Faults = (point) => world.faults(point);
  const open = async () => {
    const keep = given.keepFreeBytes === undefined ? {} : { keepFreeBytes: given.keepFreeBytes };
    const size = given.packBytes === undefined ? {} : { packBytes: given.packBytes };
    const storage = await openLocalStorage({ directory, disk, compute: nodeCompute, clock, secrets, faults, ...keep, ...size });
    const audit = (event: string, fields: object): void => void audits.push(`${event} ${JSON.stringify(fields)}`);
    // 2^8 rounds: the tests' passwords guard nothing.
    const accounts = makeAccounts({ storage, clock, secrets, passwords: slowPasswords(secrets, 8), audit });
    const log = (level: string, event: string, fields: object): void => void logs.push(`${level} ${event} ${JSON.stringify(fields)}`);
    const base = {
      storage,
      accounts,
      clock,
      compute: nodeCompute,
      faults,
      log,
      legacy: true,
      payloadMegs: null,
      addressHeader: null,
      inflateStream,
    };
    return { storage, accounts, handle: createHandle({ ...base, ...given.options }) };
  };
  const world = { directory, clock, audits, logs, faults: noFaults, ...(await open()) };
  for (const name of ["user", ...(given.users ?? [])]) await world.accounts.add(name, "pass");

  const ask: SyncHandle["ask"] = async (route, payload = {}, asked = {}) => {
    const response = await world.handle(requestOf(route, payload, asked), asked.signal ?? new AbortController().signal);
    const chunks: Uint8Array[] = [];
    if (response.body instanceof Uint8Array) chunks.push(response.body);
    // A leased buffer is used again as soon as it was handed on.
    else for await (const chunk of response.body) chunks.push(Buffer.from(chunk));
    const body = Buffer.concat(chunks);
    const framed = response.headers[SIZE_HEADER] !== undefined;
    const content = framed ? Buffer.from(decompressSync(body, 1 << 30)) : body;
    if (framed) assert.equal(response.headers[SIZE_HEADER], String(content.length));
    return { status: response.status, headers: response.headers, body, payload: content };
  };
  return Object.assign(world, {
    ask,
    async login(user = "user") {
      const reply = await ask("sync/hostKey", { u: user, p: "pass" }, { key: "" });
      assert.equal(reply.status, 200);
      return String(jsonOf(reply)["key"]);
    },
    async data(route: string, payload: unknown, asked: Asked) {
      const reply = await ask(route, payload, asked);
      assert.equal(reply.status, 200, `${route}: ${reply.payload.toString().slice(0, 200)}`);
      const { data, err } = jsonOf(reply);
      assert.equal(err, "");
      return data;
    },
    async restart() {
      await world.storage.close();
      Object.assign(world, await open());
    },
    async reopen() {
      Object.assign(world, await open());
    },
    async close() {
      await world.storage.close();
      await node.close();
      await rm(directory, { recursive: true, force: true });
    },
  });
}

/** Throws at the `nth` visit of `point`, 1-based. */
export function failAt(point: FaultPoint, nth: number): Faults {
  let visits = 0;
  return (at) => {
    if (at === point && ++visits === nth) throw new Error(`injected: ${point}`);
    return false;
  };
}

/** The JSON object of a reply. */
export function jsonOf({ payload }: Pick<Reply, "payload">): Record<string, unknown> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every JSON reply of the server is an object
  return JSON.parse(payload.toString("utf8")) as Record<string, unknown>;
}

function requestOf(route: string, payload: unknown, asked: Asked): ServerRequest {
  const header = buildSyncHeader({
    version: 11,
    key: asked.key ?? "",
    client: asked.client ?? "26.09.3,test,linux",
    session: asked.session ?? "s",
  });
  const method = asked.method ?? "POST";
  const content = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload));
  const body = asked.raw ?? (method === "GET" ? new Uint8Array(0) : route.startsWith("satchel/") ? content : compressSync(content));
  return {
    method,
    path: `/${route}`,
    query: asked.query ?? "",
    headers: asked.headers ?? { [SYNC_HEADER]: header },
    body: body instanceof Uint8Array ? inChunks(body) : body,
    peer: { address: "192.0.2.1" },
  };
}

/** Small chunks, as the official client sends them. */
async function* inChunks(body: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += 4096) {
    yield body.subarray(at, at + 4096);
    await Promise.resolve();
  }
}
