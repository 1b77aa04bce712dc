/** The server that `satchel start` runs for somebody who has none: its account, its port, its process. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

import { Exit } from "./exit-codes.ts";
import { CliError, type OwnServer } from "./host.ts";
import { startChild } from "./machine.ts";

const USER = "me";
const HOST = "127.0.0.1";

/** `config`: where its password and address are kept (0600); `state`: where its data is. */
export type OwnServerPlaces = { readonly config: string; readonly state: string };

/** Where it answers when it runs; null: it was never made. */
export function ownServerUrl(places: OwnServerPlaces): string | null {
  const text = readIfThere(addressFile(places));
  return text === null ? null : text.trim();
}

/** Starts it, making its account the first time; always on the same port, for other devices know it. @throws CliError when it does not start */
export async function startOwnServer(places: OwnServerPlaces): Promise<{ readonly server: OwnServer; stop(): Promise<void> }> {
  mkdirSync(directoryOf(places), { recursive: true, mode: 0o700 });
  const passwordFile = path.join(directoryOf(places), "password");
  const password = readIfThere(passwordFile) ?? newPassword(passwordFile);
  const known = ownServerUrl(places);
  const port = known === null ? "0" : new URL(known).port;
  const child = startChild(["server", "run", "--base", path.join(places.state, "own-server"), "--host", HOST, "--port", port], {
    SYNC_USER1: `${USER}:${password}`,
    SATCHEL_LOG_LEVEL: "warn",
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const listening = Promise.withResolvers<string>();
  child.stdout?.setEncoding("utf8").once("data", (line: string) => listening.resolve(line.trim()));
  void gone.then(() =>
    listening.reject(new CliError(Exit.Fatal, `The server at ${known ?? HOST} did not start; what it said stands above.`)),
  );
  const url = await listening.promise;
  save(addressFile(places), url);
  return {
    server: { url, user: USER, password, passwordFile },
    stop: async () => {
      child.kill("SIGTERM");
      await gone;
    },
  };
}

function directoryOf({ config }: OwnServerPlaces): string {
  return path.join(config, "own-server");
}

function addressFile(places: OwnServerPlaces): string {
  return path.join(directoryOf(places), "address");
}

function newPassword(file: string): string {
  const password = randomBytes(18).toString("base64url");
  save(file, password);
  return password;
}

function save(file: string, text: string): void {
  writeFileSync(`${file}.tmp`, text, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}
