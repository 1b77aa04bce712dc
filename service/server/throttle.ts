/** How often a password may be guessed: per account, per address, and in all (AU01, AU05, X6). A valid key is never asked. */
import { hash } from "node:crypto";
import { isIPv6 } from "node:net";

import type { Clock } from "../core/ports.ts";
import type { Tally, Throttle } from "./storage.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Wrong passwords of one account before each further one waits 1 s, 2 s, 4 s … 15 min. */
const FREE_FAILURES = 5;
const WAIT_MAX_MS = 15 * MINUTE_MS;
const FAILURES_PER_HOUR = 100;
/** Wrong passwords from one IPv4 address or IPv6 /64 in a minute. */
const ADDRESS_PER_MINUTE = 20;
/** Logins of all accounts together: each costs 276 ms of a processor. */
const ALL_PER_SECOND = 5;

export interface Guard {
  /** Milliseconds until the next try is heard; 0: now. */
  mayTry(name: string, address: string): Promise<number>;
  failed(name: string, address: string): Promise<void>;
  succeeded(name: string): Promise<void>;
}

export function guard(throttle: Throttle, clock: Clock): Guard {
  const hourOf = (name: string): string => `hour:${bucket(name)}`;
  const count = async (key: string, spanMs: number): Promise<void> => {
    const nowMs = clock.monoMs();
    const tally = (await throttle.get(key)) ?? { failures: 0, firstMs: nowMs, lastMs: nowMs };
    await throttle.put(key, { failures: tally.failures + 1, firstMs: tally.firstMs, lastMs: nowMs }, tally.firstMs + spanMs);
  };
  return {
    async mayTry(name, address) {
      const nowMs = clock.monoMs();
      const row = await throttle.get(`row:${bucket(name)}`);
      const hour = await throttle.get(hourOf(name));
      const minute = await throttle.get(`address:${network(address)}`);
      const all = await throttle.get("all");
      const waitMs = Math.max(
        row === null ? 0 : row.lastMs + penaltyMs(row.failures) - nowMs,
        overLimit(hour, FAILURES_PER_HOUR, HOUR_MS, nowMs),
        overLimit(minute, ADDRESS_PER_MINUTE, MINUTE_MS, nowMs),
        overLimit(all, ALL_PER_SECOND, 1000, nowMs),
      );
      if (waitMs <= 0) await count("all", 1000);
      return Math.max(0, waitMs);
    },
    async failed(name, address) {
      const nowMs = clock.monoMs();
      const key = `row:${bucket(name)}`;
      const tally = (await throttle.get(key)) ?? { failures: 0, firstMs: nowMs, lastMs: nowMs };
      await throttle.put(key, { failures: tally.failures + 1, firstMs: tally.firstMs, lastMs: nowMs }, nowMs + HOUR_MS);
      await count(hourOf(name), HOUR_MS);
      await count(`address:${network(address)}`, MINUTE_MS);
    },
    async succeeded(name) {
      await throttle.clear(`row:${bucket(name)}`);
    },
  };
}

function penaltyMs(failures: number): number {
  return failures < FREE_FAILURES ? 0 : Math.min(WAIT_MAX_MS, 1000 * 2 ** Math.min(20, failures - FREE_FAILURES));
}

function overLimit(tally: Tally | null, limit: number, spanMs: number, nowMs: number): number {
  return tally === null || tally.failures < limit ? 0 : tally.firstMs + spanMs - nowMs;
}

/** Names of any length, also of nobody, count alike. */
function bucket(name: string): string {
  return hash("sha256", name).slice(0, 32);
}

/** The /64 of an IPv6 address (whoever has one has all of it), else the address. */
function network(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.replace(/%.*$/, "").split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups =
    tail === undefined ? left : [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0"), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
