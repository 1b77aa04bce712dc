import type { Session } from "./session.ts";
import { isRefusedWrite } from "./told-numbers.ts";

/**
 * Rows behind the filed ones that a question looks through one by one (some 10 µs); more are filed first. An ordinary index would be
 * kept with every row, at a random place: in a first sync that writes nearly all of its pages anew with every transaction, for
 * questions that nobody asks then (measured: 240 MB of 100 000 rows, and as much again at the checkpoints).
 */
const TAIL_ROWS = 64;

/** Finds the rows of a path in the change log. Filed are those up to some number, sorted, many at once; when somebody asks. */
export type ChangeIndex = {
  /**
   * Before a question: what is behind the number that this returns has to be looked through. Writes, if there is much of it; where the disk
   * takes no more, it is looked through however much it is.
   */
  readonly filedUpTo: (lastSeq: number) => number;
};

export function openChangeIndex(session: Session): ChangeIndex {
  const { db } = session;
  const stored = db.prepare<[], number>("SELECT last_seq FROM change_filed").pluck();
  const file = db.prepare<[number, number]>(
    "INSERT INTO change_by_path (path_hash, seq) SELECT path_hash, seq FROM change WHERE seq > ? AND seq <= ? ORDER BY path_hash, seq",
  );
  const moved = db.prepare<[number]>("UPDATE change_filed SET last_seq = ?");
  let filed = stored.get() ?? 0;
  session.join({
    rolledBack: () => {
      filed = stored.get() ?? 0;
    },
  });
  return {
    filedUpTo: (lastSeq) => {
      if (lastSeq - filed > TAIL_ROWS) {
        const joins = db.inTransaction;
        try {
          session.transaction(() => {
            file.run(filed, lastSeq);
            moved.run(lastSeq);
          });
          filed = lastSeq;
        } catch (error) {
          // A transaction that was under way is lost with this write: there it must be told.
          if (joins || !isRefusedWrite(error)) throw error;
        }
      }
      return filed;
    },
  };
}
