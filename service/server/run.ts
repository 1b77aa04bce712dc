/** A sync server process: its directory, its lock, its accounts, its port; and the same without a port for the owner's commands. */
import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { mkdirSync, statSync } from "node:fs";
import { isIP } from "node:net";
import path from "node:path";
import { setFlagsFromString } from "node:v8";

import { noFaults, type Clock } from "../core/ports.ts";
import { nodeCompute } from "../files/compute.ts";
import { openNodeDisk } from "../files/node-disk.ts";
import { lockHolder, takeLock } from "../store/lock.ts";
import { makeAccounts, type AccountService, type EnvironmentAccount } from "./accounts.ts";
import { connectAdmin, openAdminLink } from "./admin-link.ts";
import { makeAdmin, type Admin } from "./admin.ts";
import { ServerConfigError } from "./environment.ts";
import { createHandle, type ServerLog } from "./handle.ts";
import { createHttpServer, type HttpServer } from "./http.ts";
import { inflateStream } from "./inflate-stream.ts";
import { openLocalStorage } from "./local-storage.ts";
import { makeMetrics } from "./metrics.ts";
import { slowPasswords } from "./passwords.ts";
import type { Retention, Storage } from "./storage.ts";

const DAY_MS = 86_400_000;
/** Versions stay 30 days whatever their size, and after that while all of an account have at most 2 GiB (DESIGN §11). */
const RETENTION: Retention = { keepMs: 30 * DAY_MS, capBytes: 2 * 1024 ** 3 };
/** Requests under way have this long when the server stops. */
const GRACE_MS = 5000;
/** Bodies pass through a heap that is small beside them: by its own rule V8 marks all of that every few MiB (half of an upload's time). */
const HEAP_GROWS_PERCENT = 300;
/** Upkeep begins when the start is over. */
const FIRST_UPKEEP_MS = 60_000;

export type RunOptions = {
  /** `SYNC_BASE`; ours is `satchel/` in it. */
  readonly base: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly accounts: readonly EnvironmentAccount[];
  /** `MAX_SYNC_PAYLOAD_MEGS`; null: the default. */
  readonly payloadMegs: number | null;
  /** `SYNC_IP_HEADER`, lower case; null: the peer's own address counts. */
  readonly addressHeader: string | null;
  /** Speaks versions 8–10 too. */
  readonly legacy: boolean;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** A proxy in front does TLS: plain HTTP is right, and nobody is on loopback. */
  readonly behindProxy?: boolean;
  /** Plain HTTP off loopback, knowingly. */
  readonly insecureHttp?: boolean;
  /** Opens `/metrics` to whoever sends it as a bearer token; without it only loopback may look. */
  readonly metricsToken?: string;
  readonly retention?: Retention;
  readonly log: ServerLog;
  readonly clock: Clock;
  /** Address of disk-worker.ts, or of its bundle. */
  readonly diskWorker: URL;
};

export type RunningServer = { readonly url: string; close(): Promise<void> };

/** Serves until `close`. @throws ServerConfigError in words for the owner; StorageError, StoreError where the directory can't be used */
export async function runServer(options: RunOptions): Promise<RunningServer> {
  refuseClearText(options);
  setFlagsFromString(`--heap-growing-percent=${String(HEAP_GROWS_PERCENT)}`);
  const { clock, log } = options;
  const open = await openDirectory(options);
  if (open === null) throw alreadyRunning(options.base);
  const { storage, accounts, secrets } = open;
  const upkeep = new AbortController();
  try {
    await accounts.adopt(options.accounts);
    if ((await storage.accounts.list()).every(({ disabled }) => disabled))
      log("warn", "no accounts", { hint: "Set SYNC_USER1=name:password, or run: satchel server user add NAME" });
    const metrics = makeMetrics();
    const faults = noFaults;
    const { observe, observeBurst } = metrics;
    const handle = createHandle({ ...options, storage, accounts, compute: nodeCompute, faults, inflateStream, observe, observeBurst });
    const http = createHttpServer({
      handle,
      tls: options.tls ?? null,
      metrics: metrics.text,
      mayMeasure: mayMeasure(options),
      onError: (error) => log("warn", "connection", { why: error instanceof Error ? error.message : String(error) }),
    });
    const port = await http.listen(options.host, options.port);
    const link = await openAdminLink(open.directory, makeAdmin(storage, accounts, clock), secrets);
    const kept = keepUp(storage, options, upkeep.signal);
    const host = isIP(options.host) === 6 ? `[${options.host}]` : options.host;
    return {
      url: `http${options.tls === undefined ? "" : "s"}://${host}:${String(port)}/`,
      close: async () => {
        upkeep.abort(new Error("The server stops."));
        await stopAll(http, link, kept);
        await open.close();
        log("info", "stopped", { atMs: clock.wallMs() });
      },
    };
  } catch (error) {
    upkeep.abort(new Error("The server could not start."));
    await open.close();
    throw error;
  }
}

async function stopAll(http: HttpServer, link: { close(): Promise<void> }, kept: Promise<void>): Promise<void> {
  await link.close();
  await http.close(GRACE_MS);
  await kept;
}

/** The owner's commands: by the server that runs in `base`, or on the files where none does. `close` gives them back. */
export async function openServerAdmin(
  options: Pick<RunOptions, "base" | "clock" | "log" | "diskWorker">,
): Promise<Admin & { close(): Promise<void> }> {
  const rootAgain = actAsOwner(path.join(options.base, "satchel"));
  try {
    const open = await openDirectory(options);
    if (open !== null) {
      const close = async (): Promise<void> => {
        await open.close();
        rootAgain();
      };
      return { ...makeAdmin(open.storage, open.accounts, options.clock), close };
    }
    const linked = connectAdmin(path.join(options.base, "satchel"));
    if (linked === null) throw alreadyRunning(options.base);
    return { ...linked, close: async () => await Promise.resolve(rootAgain()) };
  } catch (error) {
    rootAgain();
    throw error;
  }
}

/**
 * What root's commands make in somebody's directory is made as that somebody: else the server, which runs under its own user, could not open it. Returns
 * what makes the process root's again.
 */
function actAsOwner(directory: string): () => void {
  const owner = process.geteuid?.() === 0 ? statSync(directory, { throwIfNoEntry: false }) : undefined;
  if (owner === undefined || owner.uid === 0) return () => undefined;
  process.setegid?.(owner.gid);
  process.seteuid?.(owner.uid);
  return () => {
    process.seteuid?.(0);
    process.setegid?.(0);
  };
}

type Directory = {
  readonly directory: string;
  readonly storage: Storage;
  readonly accounts: AccountService;
  readonly secrets: (bytes: number) => Uint8Array;
  close(): Promise<void>;
};

/** null: another process has it. */
async function openDirectory({
  base,
  clock,
  log,
  diskWorker,
}: Pick<RunOptions, "base" | "clock" | "log" | "diskWorker">): Promise<Directory | null> {
  const directory = path.join(base, "satchel");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = takeLock(path.join(directory, "server.lock"));
  if (lock === null) return null;
  const disk = openNodeDisk({ diskWorker });
  const secrets = (bytes: number): Uint8Array => randomBytes(bytes);
  try {
    const onDamage = (account: string, what: string): void => log("error", "account database damaged", { account, what });
    const storage = await openLocalStorage({ directory, disk, compute: nodeCompute, clock, secrets, faults: noFaults, onDamage });
    const audit = (event: string, fields: Readonly<Record<string, string | number>>): void =>
      log("info", event, { audit: true, ...fields });
    const accounts = makeAccounts({ storage, clock, secrets, passwords: slowPasswords(secrets), audit });
    return {
      directory,
      storage,
      accounts,
      secrets,
      close: async () => {
        await storage.close();
        await disk.close();
        lock.release();
      },
    };
  } catch (error) {
    await disk.close();
    lock.release();
    throw error;
  }
}

function alreadyRunning(base: string): ServerConfigError {
  const file = path.join(base, "satchel", "server.lock");
  const pid = lockHolder(file);
  return new ServerConfigError(
    `Could not use ${base}: a Satchel server${pid === null ? "" : ` (process ${pid})`} has it. Stop that one, or choose another --base.`,
  );
}

/** AU12: passwords and files would be readable on the way. */
function refuseClearText({ host, tls, behindProxy, insecureHttp }: RunOptions): void {
  if (tls !== undefined || behindProxy === true || insecureHttp === true || isLoopback(host)) return;
  throw new ServerConfigError(
    `Could not listen on ${host}: without TLS everybody on the way could read passwords and files. ` +
      "Give --tls-cert and --tls-key, or --behind-proxy where a proxy in front does TLS, or --insecure-http to do it all the same.",
  );
}

function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address) || address === "::1" || address === "localhost";
}

/** Behind a proxy everybody seems to be on loopback: then only the token counts. */
function mayMeasure({ metricsToken, behindProxy }: RunOptions): (address: string, authorization: string | undefined) => boolean {
  const wanted = hash("sha256", `Bearer ${metricsToken ?? ""}`, "buffer");
  return (address, authorization) => {
    if (metricsToken !== undefined && timingSafeEqual(hash("sha256", authorization ?? "", "buffer"), wanted)) return true;
    return metricsToken === undefined && behindProxy !== true && isLoopback(address);
  };
}

/** Once a day, account by account. */
async function keepUp(storage: Storage, { clock, log, retention }: RunOptions, signal: AbortSignal): Promise<void> {
  let pauseMs = FIRST_UPKEEP_MS;
  for (;;) {
    try {
      await clock.sleep(pauseMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    pauseMs = DAY_MS;
    for (const { id } of await storage.accounts.list()) {
      if (signal.aborted) return;
      try {
        await (await storage.account(id)).housekeep(retention ?? RETENTION);
      } catch (error) {
        // One account's trouble is not the others': said, and tried again tomorrow.
        log("error", "upkeep", { account: id, why: error instanceof Error ? error.message : String(error) });
      }
    }
  }
}
