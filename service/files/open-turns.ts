/** Who opens files waits for a turn when the process may open no more of them (`ulimit -n`): fewer at a time then, down to one. */
import { setTimeout as sleep } from "node:timers/promises";

import { faultOf } from "./disk-fault.ts";

/** Of those that were refused, so many try again side by side; one, once that is refused too. */
const AT_ONCE_MAX = 4;
/** Refused with none of these under way: what others of this process hold (sockets, workers, a batch just begun) is given 10 s to end; all
 * who wait share them, for thousands that wait in line would otherwise hold a run for hours, which nobody could cancel. */
const PAUSE_MS = 25;
const PAUSES_MAX = 400;

/**
 * Runs `work`, which opens files. When the system lets the process open no more, it is run again from its start in its turn: so `work` must
 * have closed what it opened, and have changed nothing, when it fails in that way. @throws what `work` throws
 */
export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** `pause`: how a test lets time pass. */
export function openTurns(pause: () => Promise<unknown> = async () => await sleep(PAUSE_MS)): InTurn {
  const waiting: (() => void)[] = [];
  let atOnce = AT_ONCE_MAX;
  let under = 0;
  /** Pauses since somebody last found room. */
  let pauses = 0;

  const enter = async (): Promise<void> => {
    if (under < atOnce) under += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  /** The turn goes to the next in line, or lapses where fewer are to run from now on. */
  const leave = (): void => {
    const next = under <= atOnce ? waiting.shift() : undefined;
    if (next !== undefined) return next();
    under -= 1;
    if (under === 0) atOnce = AT_ONCE_MAX;
  };
  const tried = async <T>(work: () => Promise<T>): Promise<T> => {
    const result = await work();
    pauses = 0;
    return result;
  };
  const again = async <T>(work: () => Promise<T>): Promise<T> => {
    await enter();
    try {
      for (;;) {
        try {
          return await tried(work);
        } catch (error) {
          if (faultOf(error) !== "tooManyOpen" || pauses >= PAUSES_MAX) throw error;
        }
        atOnce = 1;
        pauses += 1;
        await pause();
      }
    } finally {
      leave();
    }
  };
  return async (work) => {
    try {
      // As `tried`: this is the way of every call, and each function in it is a promise more.
      const result = await work();
      pauses = 0;
      return result;
    } catch (error) {
      if (faultOf(error) !== "tooManyOpen") throw error;
    }
    return await again(work);
  };
}
