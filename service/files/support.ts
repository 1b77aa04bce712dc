/** What `satchel support-bundle` reads from disk: the log's end, and every secret that must not get out with it. */
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from "node:fs";
import path from "node:path";

import type { Config } from "../../protocol/config.ts";
import { SettingsError } from "./json-file.ts";
import { loadConfig, loadSecrets, loadServiceFile } from "./settings.ts";

export type SupportFacts = {
  /** The newest lines of the service's log, oldest first; empty where there is none. */
  readonly log: readonly string[];
  /** config.json as it stands; null where it can't be read, then `trouble` says why. */
  readonly config: Config | null;
  readonly trouble: readonly string[];
  /** Words that are credentials on this machine. */
  readonly secrets: readonly string[];
};

/** More of the log would not be read by anybody. */
const LOG_MAX_BYTES = 256 * 1024;

/** Never throws for a file that can't be read: that is a finding. */
export function readSupportFacts(places: { readonly config: string; readonly state: string; readonly run: string }): SupportFacts {
  const trouble: string[] = [];
  const attempt = <T>(work: () => T, otherwise: T): T => {
    try {
      return work();
    } catch (error) {
      trouble.push(error instanceof Error ? error.message : String(error));
      return otherwise;
    }
  };
  const config = attempt(() => loadConfig(places.config), null);
  const secrets = attempt(() => Object.values(loadSecrets(places.config).remotes).map(({ key }) => key), []);
  const service = attempt(() => loadServiceFile(places.run), null);
  const own = service === null ? [] : [service.token, service.serviceKey];
  const inUrls = (config?.remotes ?? []).flatMap(({ url }) => (URL.canParse(url) ? credentialsOf(new URL(url)) : []));
  const log = attempt(() => tail(path.join(places.state, "log", "service.log")), []);
  return { log, config, trouble, secrets: [...secrets, ...own, ...inUrls] };
}

/** Never over another file; 0600. @throws SettingsError */
export function writeSupportBundle(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    const there = error instanceof Error && "code" in error && error.code === "EEXIST";
    const why = there ? "there is a file of that name already" : error instanceof Error ? error.message : String(error);
    throw new SettingsError("io", file, `Could not write ${file}: ${why}. Choose another place with --output FILE.`, { cause: error });
  }
}

function credentialsOf(url: URL): readonly string[] {
  return [url.password, decodeURIComponent(url.password)].filter((word) => word !== "");
}

/** The last whole lines of a file; none where it is not there. */
function tail(file: string): readonly string[] {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
  try {
    const { size } = fstatSync(handle);
    const from = Math.max(0, size - LOG_MAX_BYTES);
    const bytes = Buffer.alloc(size - from);
    const read = readSync(handle, bytes, 0, bytes.length, from);
    const lines = bytes
      .subarray(0, read)
      .toString("utf8")
      .split("\n")
      .filter((line) => line !== "");
    return from > 0 ? lines.slice(1) : lines;
  } finally {
    closeSync(handle);
  }
}
