/** Secrets in files of their own, as container platforms hand them out: `NAME_FILE=/run/secrets/name` is `NAME` with that file's text. */
import { closeSync, fstatSync, openSync, readFileSync, type Stats } from "node:fs";

import { SettingsError } from "./json-file.ts";

/** Only these are secrets; other variables that end in `_FILE` mean something else. */
const SECRET = /^(?:SYNC_USER\d+|SATCHEL_METRICS_TOKEN|SATCHEL_PASSWORD)$/;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The same environment with such variables filled in; one that stands itself wins. One line end is the editor's.
 * @throws SettingsError when a file can't be read, or others can read it too (AU13)
 */
export function withSecretFiles(env: Env): Env {
  const read: Record<string, string> = {};
  for (const [variable, file] of Object.entries(env)) {
    const name = variable.endsWith("_FILE") ? variable.slice(0, -"_FILE".length) : "";
    if (!SECRET.test(name) || file === undefined || file === "" || env[name] !== undefined) continue;
    read[name] = readSecret(variable, file).replace(/\r?\n$/, "");
  }
  return { ...env, ...read };
}

function readSecret(variable: string, file: string): string {
  const self = process.getuid?.();
  try {
    // What is looked at is what is read, whoever swaps the name meanwhile.
    const opened = openSync(file, "r");
    try {
      const stat = fstatSync(opened);
      if (self !== undefined && isLoose(stat, self)) throw new SettingsError("unsafe", file, looseText(variable, file, stat, self));
      return readFileSync(opened, "utf8");
    } finally {
      closeSync(opened);
    }
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError("io", file, `Could not read the secret that ${variable} names: ${why}. Correct ${variable}, then start again.`);
  }
}

/**
 * Group or others have a right to it. Pipes and terminals are their opener's. The group of root's own file may read: that is how systemd
 * and container platforms hand a secret to a service that is not root (its group, or the mask of an access list, shows as the group's right).
 */
export function isLoose(stat: Pick<Stats, "isFile" | "mode" | "uid">, self: number): boolean {
  const handedByRoot = stat.uid === 0 && self !== 0;
  return stat.isFile() && (stat.mode & (handedByRoot ? 0o037 : 0o077)) !== 0;
}

function looseText(variable: string, file: string, { mode, uid }: Stats, self: number): string {
  const told = `Did not use the secret that ${variable} names: others may read or change ${file} (mode ${(mode & 0o777).toString(8).padStart(4, "0")}).`;
  // Only its owner may change the mode, and afterwards we must still be able to read it.
  const own = uid === self ? "" : `chown ${String(self)} '${file}' && `;
  return `${told} Run: ${own}chmod 600 '${file}', then start again.`;
}
