/** What `doctor` looks at, with this machine's own hands: the service's part, and all that can be told while none runs. */
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";

import { settingsInForce, type Config } from "../../protocol/config.ts";
import type { Places } from "../../protocol/places.ts";
import type { Transport } from "../core/ports.ts";
import { lockHolder } from "../store/lock.ts";
import { spaceAt } from "../files/file-calls.ts";
import { looseOnes, probeRoot } from "../files/probe.ts";
import { loadConfig, loadSecrets, loadServiceFile } from "../files/settings.ts";
import { openNodeTransport } from "../remotes/node-transport.ts";
import { probeHealth, refusesBody } from "../remotes/probe.ts";
import type { Check } from "../rpc/doctor-check.ts";
import { examineOffline, type NoService, type OfflineInput } from "../rpc/doctor-offline.ts";
import type { RemoteProbes } from "../rpc/doctor-remote.ts";
import { processLives } from "../cli/machine.ts";
import { clock } from "./machine.ts";

/** More of a sentence is a stack. */
const SAID_MAX = 300;

/** Those of our own files that others may read or change. */
export function looseFiles({ config, state, run }: Places): readonly string[] {
  const files = ["secrets.json", "tokens.json"].map((name) => path.join(config, name));
  return looseOnes([config, state, run, path.join(run, "service.json"), ...files]);
}

export function remoteProbes(transport: Transport): RemoteProbes {
  return {
    health: async (base) => await probeHealth(base, transport, AbortSignal.any([])),
    refusesBody,
    nowMs: () => Date.now(),
    proxyVariables: ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"].filter((name) => process.env[name]),
  };
}

/** Makes nothing and changes nothing. `why`: what answers in the service's place; null: nobody does. */
export async function doctorWithoutService(places: Places, why: string | null): Promise<readonly Check[]> {
  const trouble: string[] = [];
  const attempt = <T>(work: () => T): T | null => {
    try {
      return work();
    } catch (error) {
      trouble.push(messageOf(error));
      return null;
    }
  };
  const config = attempt(() => loadConfig(places.config));
  const secrets = attempt(() => loadSecrets(places.config));
  const transport = openNodeTransport({ clock });
  try {
    return await examineOffline({
      disk: { space: spaceAt },
      probeRoot,
      service: why === null ? (attempt(() => noService(places)) ?? { kind: "none" }) : { kind: "other", why },
      lastSaid: lastSaid(places),
      state: stateOf(places.state),
      sqliteVersion: await sqliteVersion(),
      looseOnes: () => looseFiles(places),
      trouble,
      roots: config?.folders.map(({ root }) => root) ?? [],
      remotes: (config?.remotes ?? []).map(({ id, url }) => ({ id, url, signedIn: secrets?.remotes[id] !== undefined })),
      port: config === null ? null : await portOf(config, attempt),
      remote: remoteProbes(transport),
    });
  } finally {
    transport.close();
  }
}

function noService(places: Places): NoService {
  const known = loadServiceFile(places.run)?.pid ?? Number(lockHolder(path.join(places.state, "service.lock")) ?? Number.NaN);
  if (!Number.isInteger(known)) return { kind: "none" };
  return { kind: processLives(known) ? "silent" : "gone", pid: known };
}

/** The log of the last start is empty where that went well. */
function lastSaid({ run }: Places): string | null {
  const file = path.join(run, "start.log");
  if (!existsSync(file)) return null;
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines.length === 0 ? null : lines.join(" ").slice(0, SAID_MAX);
}

/** Written into where it is ours; only asked about where the first start would make it. */
function stateOf(state: string): OfflineInput["state"] {
  const isMade = existsSync(state);
  const place = isMade ? state : nearestThere(state);
  try {
    if (isMade) rmdirSync(mkdtempSync(path.join(place, "doctor-")));
    else accessSync(place, constants.W_OK);
    return { path: place, isMade, refused: null };
  } catch (error) {
    return { path: place, isMade, refused: messageOf(error) };
  }
}

function nearestThere(directory: string): string {
  const parent = path.dirname(directory);
  return existsSync(directory) || parent === directory ? directory : nearestThere(parent);
}

async function sqliteVersion(): Promise<() => string> {
  try {
    const { default: Database } = await import("better-sqlite3");
    const db = new Database(":memory:");
    const version = String(db.prepare("SELECT sqlite_version()").pluck().get());
    db.close();
    return () => version;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

async function portOf(config: Config, attempt: <T>(work: () => T) => T | null): Promise<OfflineInput["port"]> {
  const settings = attempt(() => settingsInForce(config.settings, process.env));
  if (settings === null || !settings.tcp || settings.tcpPort === 0) return null;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(settings.tcpPort, "127.0.0.1", () => server.close(() => resolve(true)));
  return { wanted: settings.tcpPort, isFree: await promise };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
