import { rmSync } from "node:fs";
import path from "node:path";

import {
  FILES_VERSION,
  configSchema,
  deviceSchema,
  secretsSchema,
  serviceSchema,
  tokensSchema,
  type Config,
  type Device,
  type Secrets,
  type ServiceFile,
  type Tokens,
} from "../../protocol/config.ts";
import { readJson, SettingsError, writeJson } from "./json-file.ts";

/** `config.json` of this directory; an empty configuration where there is none. @throws SettingsError */
export function loadConfig(directory: string): Config {
  return readJson(configFile(directory), configSchema, { secret: false, version: FILES_VERSION }) ?? configSchema.parse({});
}

/** Durable when it returns. @throws SettingsError */
export function saveConfig(directory: string, config: Config): void {
  writeJson(configFile(directory), config, { secret: false });
}

/** `secrets.json`; empty where there is none. @throws SettingsError `unsafe` when others could read it */
export function loadSecrets(directory: string): Secrets {
  return readJson(secretsFile(directory), secretsSchema, { secret: true, version: FILES_VERSION }) ?? secretsSchema.parse({});
}

/** Durable when it returns. @throws SettingsError */
export function saveSecrets(directory: string, secrets: Secrets): void {
  writeJson(secretsFile(directory), secrets, { secret: true });
}

/** `tokens.json`; empty where there is none. @throws SettingsError `unsafe` when others could read it */
export function loadTokens(directory: string): Tokens {
  return readJson(tokensFile(directory), tokensSchema, { secret: true, version: FILES_VERSION }) ?? tokensSchema.parse({});
}

/** Durable when it returns. @throws SettingsError */
export function saveTokens(directory: string, tokens: Tokens): void {
  writeJson(tokensFile(directory), tokens, { secret: true });
}

export type DeviceInput = {
  readonly hostName: string;
  /** SHA-256 of the machine's id (`machineHash`), or null where it can't be told. */
  readonly machine: string | null;
  /** A fresh random id. */
  newId(): string;
};

/**
 * Who this device is, made at the first start. `cloned`: the files came from another machine, so it gets its own id and every cursor
 * must go back to 0 (the caller clears them): two devices with one id would take each other's uploads for their own echo.
 * A machine that can't be told proves nothing. @throws SettingsError
 */
export function loadDevice(
  directory: string,
  input: DeviceInput,
): { readonly device: Device; readonly origin: "known" | "new" | "cloned" } {
  const file = path.join(directory, "device.json");
  const known = readJson(file, deviceSchema, { secret: false, version: FILES_VERSION });
  const cloned = known !== null && known.machine !== null && input.machine !== null && known.machine !== input.machine;
  if (known !== null && !cloned) {
    if (known.machine !== null || input.machine === null) return { device: known, origin: "known" };
    const device = { ...known, machine: input.machine };
    writeJson(file, device, { secret: false });
    return { device, origin: "known" };
  }
  const device = deviceSchema.parse({ ...known, id: input.newId(), name: deviceName(input.hostName), machine: input.machine });
  writeJson(file, device, { secret: false });
  return { device, origin: cloned ? "cloned" : "new" };
}

/** The host's own part of its name as `[a-z0-9-]{1,16}`, fit for a file name everywhere. */
export function deviceName(hostName: string): string {
  const host = hostName.split(".")[0] ?? "";
  const name = host
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 16)
    .replace(/-+$/, "");
  return name === "" ? "device" : name;
}

/** How to reach the running service, or null where none says so. @throws SettingsError `unsafe`, `io`, `future` */
export function loadServiceFile(runDirectory: string): ServiceFile | null {
  try {
    return readJson(serviceFile(runDirectory), serviceSchema, { secret: true, version: FILES_VERSION });
  } catch (error) {
    // Cut short by a power cut: whoever wrote it is gone with it, and the next service writes it anew.
    if (error instanceof SettingsError && error.fault === "corrupt") return null;
    throw error;
  }
}

/** Not durable: it tells of a running process, and waiting for the disk would be most of a start (172 of 300 ms on a busy one). @throws SettingsError */
export function saveServiceFile(runDirectory: string, service: ServiceFile): void {
  writeJson(serviceFile(runDirectory), service, { secret: true, passing: true });
}

/** At a clean stop. */
export function removeServiceFile(runDirectory: string): void {
  rmSync(serviceFile(runDirectory), { force: true });
}

function configFile(directory: string): string {
  return path.join(directory, "config.json");
}

function secretsFile(directory: string): string {
  return path.join(directory, "secrets.json");
}

function tokensFile(directory: string): string {
  return path.join(directory, "tokens.json");
}

function serviceFile(runDirectory: string): string {
  return path.join(runDirectory, "service.json");
}
