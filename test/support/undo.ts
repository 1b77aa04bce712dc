import { undoLast } from "../../service/engine/undo.ts";
import type { Device } from "./memory-device.ts";

/** Undo as a test wants it: sorted, with the skipped ones counted. */
export async function lookForUndo(device: Device): Promise<{ undone: string[]; skipped: number }> {
  device.clock.nowMs += 1_000;
  const { undone, skipped } = await undoLast(device.parts);
  return { undone: undone.toSorted(), skipped: skipped.length };
}
