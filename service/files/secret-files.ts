/** Secrets in files of their own, as container platforms hand them out: `NAME_FILE=/run/secrets/name` is `NAME` with that file's text. */
import { readFileSync } from "node:fs";

import { SettingsError } from "./json-file.ts";

/** Only these are secrets; other variables that end in `_FILE` mean something else. */
const SECRET = /^(?:SYNC_USER\d+|SATCHEL_METRICS_TOKEN|SATCHEL_PASSWORD)$/;

type Env = Readonly<Record<string, string | undefined>>;

/** The same environment with such variables filled in; one that stands itself wins. One line end is the editor's. @throws SettingsError */
export function withSecretFiles(env: Env): Env {
  const read: Record<string, string> = {};
  for (const [variable, file] of Object.entries(env)) {
    const name = variable.endsWith("_FILE") ? variable.slice(0, -"_FILE".length) : "";
    if (!SECRET.test(name) || file === undefined || file === "" || env[name] !== undefined) continue;
    try {
      read[name] = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new SettingsError(
        "io",
        file,
        `Could not read the secret that ${variable} names: ${why}. Correct ${variable}, then start again.`,
      );
    }
  }
  return { ...env, ...read };
}
