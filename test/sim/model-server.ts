/** A remote with the semantics of our server and nothing of its code: the engine and the disk side alone are on trial, many times faster. */
import { RemoteError, type Remote } from "../../service/core/ports.ts";
import { memoryRemote, type MemoryAccount } from "../support/memory-remote.ts";
import type { Rng } from "./rng.ts";
import type { Life, Scheduler } from "./scheduler.ts";

type Given = {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly account: MemoryAccount;
  readonly fault: (fault: "dropRequest" | "dropReply" | "duplicate") => boolean;
};

/** A device's connection to the account. */
export function modelRemote(given: Given, life: Life): Remote {
  const { scheduler, rng, account, fault } = given;
  const inner = memoryRemote(account);
  const pause = async (label: string): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    scheduler.after(life, rng.chance(0.9) ? rng.below(30) : rng.below(3000), label, resolve);
    await promise;
    await scheduler.call(life, label, () => undefined);
  };
  const asked = async <T>(label: string, work: () => Promise<T>): Promise<T> => {
    await pause(`→ ${label}`);
    if (fault("dropRequest")) throw new RemoteError("retry", `injected: ${label} never arrived`);
    const result = await work();
    if (fault("duplicate")) await work();
    await pause(`← ${label}`);
    if (fault("dropReply")) throw new RemoteError("retry", `injected: the reply to ${label} was lost`);
    return result;
  };
  return {
    ...inner,
    can: inner.can,
    limits: inner.limits,
    state: async (signal, ahead) => await asked("state", async () => await inner.state(signal, ahead)),
    feed: async function* (position, signal) {
      let at = position;
      for (;;) {
        const page = await asked("feed", async () => {
          for await (const first of inner.feed(at, signal)) return first;
          return null;
        });
        signal.throwIfAborted();
        if (page === null) return;
        at = page.position;
        yield page;
      }
    },
    download: async function* (names, signal) {
      for (const name of names) {
        const got = await asked("download", async () => {
          for await (const one of inner.download([name], signal)) return one;
          return null;
        });
        signal.throwIfAborted();
        if (got !== null) yield got;
      }
    },
    upload: async (batch, signal) => {
      const results = await asked(`upload ${batch.map(({ name }) => name).join(" ")}`, async () => await inner.upload(batch, signal));
      signal.throwIfAborted();
      return results;
    },
    verify: async (liveRows, signal) => await asked("verify", async () => await inner.verify(liveRows, signal)),
  };
}
