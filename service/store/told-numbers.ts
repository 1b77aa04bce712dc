import { StoreError } from "./errors.ts";
import type { Session } from "./session.ts";

/** Which numbers of a log may be told: one that a power cut takes back comes again, for something else (S20). */
export type ToldNumbers = {
  /** Inside the transaction that writes the row of this number. */
  readonly gave: (seq: number) => void;
  /**
   * The last number that may be told; `last` is the last one given. Makes them all durable first; where the disk refuses that (it is full), those
   * that are not durable yet are kept back: who asks for the past then still gets it. @throws StoreError for any other trouble
   */
  readonly upTo: (last: number) => number;
};

export function openToldNumbers(session: Session): ToldNumbers {
  let firstUnsure: number | null = null;
  const forgetIfSettled = (): void => {
    if (session.settled) firstUnsure = null;
  };
  session.join({ committed: forgetIfSettled, rolledBack: forgetIfSettled });
  return {
    gave: (seq) => {
      firstUnsure ??= seq;
    },
    upTo: (last) => {
      try {
        session.settle();
        return last;
      } catch (error) {
        if (!isRefusedWrite(error)) throw error;
        return firstUnsure === null ? last : Math.min(last, firstUnsure - 1);
      }
    },
  };
}

/** The disk takes no more; what is written there can still be read. */
export function isRefusedWrite(error: unknown): boolean {
  return error instanceof StoreError && (error.fault === "full" || error.fault === "io");
}
