/** Writing rows, and remembering who knew those that only got another number by it. */
import type { Entry, Sender } from "../core/server-rows.ts";
import { isKey } from "./burst.ts";
import { knowing, parseMemory } from "./echo.ts";
import type { AccountTx } from "./storage.ts";

/**
 * `tx.write`. A name that leaves a shadow by it (W13) gets a new number, so that devices that were not told of it are; to who knows it that is no change:
 * told again, it would take an edit that was not sent yet with it (W31).
 */
export async function writeRows(tx: AccountTx, entries: readonly Entry[], sender: Sender): Promise<void> {
  const moved = await tx.write(entries, sender);
  if (moved.length === 0) return;
  const { generation } = await tx.state();
  for (const [device, text] of await tx.memories()) {
    if (!isKey(device)) continue;
    const memory = parseMemory(text, generation);
    const next = knowing(memory, moved);
    if (next !== memory) await tx.remember(device, JSON.stringify(next));
  }
}
