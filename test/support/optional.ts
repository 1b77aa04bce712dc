/** What a machine may lack: a test that needs it skips there and says so; the gate installs it, so there its absence is a failure. */
import type { TestContext } from "node:test";

/** The reason for a suite's `skip`, or false. @throws Error in the gate (`SATCHEL_GATE`), which never skips what it can install */
export function orFailInGate(reason: string | false): string | false {
  if (reason !== false && process.env["SATCHEL_GATE"] !== undefined) throw new Error(`the gate must have it: ${reason}`);
  return reason;
}

/** Skips one test for want of `what`. @throws Error in the gate */
export function skipWithout(context: TestContext, what: string): void {
  const reason = orFailInGate(`${what} is not here`);
  if (reason !== false) context.skip(reason);
}
