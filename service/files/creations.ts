/** New files that are asked for in one breath go to a worker together; one alone is made at once, for a hop would cost more than the call. */
import type { Stat } from "../core/model.ts";
import type { DiskCrew, NewFile } from "./disk-crew.ts";

/** From here on the worker is worth its message. */
const TOGETHER_MIN = 16;

type Waiting = { readonly file: NewFile; readonly done: PromiseWithResolvers<Stat> };

/** `alone` makes one file on this thread. The caller may use the bytes again once `create` has resolved. */
export function openCreations(crew: DiskCrew, alone: (file: NewFile) => Promise<Stat>) {
  let waiting: Waiting[] = [];

  const together = async (all: readonly Waiting[]): Promise<void> => {
    try {
      const made = await crew.create(all.map(({ file }) => file));
      for (const [index, { done }] of all.entries()) {
        const one = made[index];
        if (one === undefined) done.reject(new Error("create: fewer results than files"));
        else if (one instanceof Error) done.reject(one);
        else done.resolve(one);
      }
    } catch (error) {
      for (const { done } of all) done.reject(error);
    }
  };
  const flush = (): void => {
    const all = waiting;
    waiting = [];
    if (all.length >= TOGETHER_MIN) void together(all);
    else for (const { file, done } of all) alone(file).then(done.resolve, done.reject);
  };
  return {
    /** Creates, writes, fsyncs. @throws DiskError, or what the system said. */
    create: async (file: NewFile): Promise<Stat> => {
      const done = Promise.withResolvers<Stat>();
      if (waiting.push({ file, done }) === 1) setImmediate(flush);
      return await done.promise;
    },
  };
}
