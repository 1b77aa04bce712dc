/** Calls that are made in one breath go to a worker together; a few are made here at once, for a hop would cost more than the calls. */
import { DiskError } from "../core/ports.ts";

/** What came of one call: its result, why it failed, or null: it is to be made here after all, where it is told or waited for. */
export type Outcome<R> = { readonly done: R } | Error | null;
type Waiting<A, R> = { readonly call: A; readonly done: PromiseWithResolvers<R> };

/** `far` makes many in a worker, outcomes in order; `near` makes one on this thread; `isFar`: whether so many go to the worker. */
export function openTogether<A, R>(
  far: (calls: readonly A[]) => Promise<readonly Outcome<R>[]>,
  near: (call: A) => Promise<R>,
  isFar: (count: number) => boolean,
): (call: A) => Promise<R> {
  let waiting: Waiting<A, R>[] = [];

  const here = ({ call, done }: Waiting<A, R>): void => {
    near(call).then(done.resolve, done.reject);
  };
  const there = async (all: readonly Waiting<A, R>[]): Promise<void> => {
    try {
      const outcomes = await far(all.map(({ call }) => call));
      for (const [index, one] of all.entries()) {
        const outcome = outcomes[index];
        if (outcome === undefined) one.done.reject(new Error("together: fewer outcomes than calls"));
        else if (outcome === null) here(one);
        else if (outcome instanceof Error) one.done.reject(outcome);
        else one.done.resolve(outcome.done);
      }
    } catch (error) {
      for (const { done } of all) done.reject(error);
    }
  };
  const flush = (): void => {
    const all = waiting;
    waiting = [];
    if (isFar(all.length)) void there(all);
    else all.forEach(here);
  };
  return async (call) => {
    const done = Promise.withResolvers<R>();
    if (waiting.push({ call, done }) === 1) setImmediate(flush);
    return await done.promise;
  };
}

/** Outcomes of work that can be done again: what a worker did not do (null), or died before it told of, is done here. */
export async function orHere<R>(count: number, work: Promise<readonly (R | null)[]>): Promise<readonly Outcome<R>[]> {
  try {
    return (await work).map((one) => (one === null ? null : { done: one }));
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return Array.from({ length: count }, () => null);
  }
}
