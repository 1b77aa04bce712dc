/** Anki's own variables (specification §4), so that an official server's settings start ours; and ours for what Anki's server does not have. */
import type { EnvironmentAccount } from "./accounts.ts";
import { isCredential } from "./passwords.ts";
import type { Retention } from "./storage.ts";

const DAY_MS = 86_400_000;
/** S21: nobody may set less. */
const KEEP_DAYS_MIN = 30;
const VERSIONS_BYTES = 2 * 1024 ** 3;

/** A setting that can't be used. The message names the variable and says what to do. */
export class ServerConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ServerConfigError";
  }
}

export type ServerEnvironment = {
  /** null: not set. */
  readonly base: string | null;
  readonly host: string;
  readonly port: number;
  readonly accounts: readonly EnvironmentAccount[];
  readonly payloadMegs: number | null;
  readonly addressHeader: string | null;
  /** Of replaced and deleted files. */
  readonly retention: Retention;
  /** Absent: `/metrics` is for loopback alone. */
  readonly metricsToken?: string;
};

/** @throws ServerConfigError */
export function serverEnvironment(env: Readonly<Record<string, string | undefined>>): ServerEnvironment {
  const megs = env["MAX_SYNC_PAYLOAD_MEGS"];
  const metricsToken = env["SATCHEL_METRICS_TOKEN"] ?? "";
  return {
    base: env["SYNC_BASE"] || null,
    host: env["SYNC_HOST"] || "127.0.0.1",
    port: wholeNumber("SYNC_PORT", env["SYNC_PORT"] || "8080", 65_535),
    accounts: accountsOf(env),
    payloadMegs: megs === undefined || megs === "" ? null : wholeNumber("MAX_SYNC_PAYLOAD_MEGS", megs, 4096),
    addressHeader: env["SYNC_IP_HEADER"]?.toLowerCase() || null,
    retention: retentionOf(env),
    ...(metricsToken === "" ? {} : { metricsToken }),
  };
}

function retentionOf(env: Readonly<Record<string, string | undefined>>): Retention {
  const days = wholeNumber("SATCHEL_VERSIONS_KEEP_DAYS", env["SATCHEL_VERSIONS_KEEP_DAYS"] || String(KEEP_DAYS_MIN), 36_500);
  if (days < KEEP_DAYS_MIN)
    throw new ServerConfigError(
      `SATCHEL_VERSIONS_KEEP_DAYS is ${String(days)}: versions are kept for at least ${String(KEEP_DAYS_MIN)} days.`,
    );
  const bytes = env["SATCHEL_VERSIONS_MAX_BYTES"] || String(VERSIONS_BYTES);
  return { keepMs: days * DAY_MS, capBytes: wholeNumber("SATCHEL_VERSIONS_MAX_BYTES", bytes, Number.MAX_SAFE_INTEGER) };
}

/** `SYNC_USER1`, `SYNC_USER2` … up to the first number that is missing, as Anki reads them. */
function accountsOf(env: Readonly<Record<string, string | undefined>>): EnvironmentAccount[] {
  const hashed = env["PASSWORDS_HASHED"] !== undefined;
  const accounts: EnvironmentAccount[] = [];
  for (let number = 1; ; number += 1) {
    const variable = `SYNC_USER${String(number)}`;
    const value = env[variable];
    if (value === undefined) break;
    const at = value.indexOf(":");
    const [name, secret] = [value.slice(0, Math.max(0, at)), value.slice(at + 1)];
    if (at < 1 || secret === "") throw new ServerConfigError(`${variable} is not “name:password”: set it so, with neither of them empty.`);
    if (hashed && !isCredential(secret))
      throw new ServerConfigError(
        `${variable} holds no PBKDF2 string, which PASSWORDS_HASHED asks for. Hash the password, or unset PASSWORDS_HASHED.`,
      );
    if (accounts.some((account) => account.name.normalize("NFC") === name.normalize("NFC")))
      throw new ServerConfigError(`${variable} names an account for the second time: remove one of the two.`);
    accounts.push({ name, secret, hashed });
  }
  return accounts;
}

function wholeNumber(variable: string, value: string, max: number): number {
  if (!/^\d{1,16}$/.test(value) || Number(value) > max)
    throw new ServerConfigError(`${variable} is ${JSON.stringify(value)}: it must be a whole number up to ${String(max)}.`);
  return Number(value);
}
