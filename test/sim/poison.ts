/** While a session runs, whoever asks the real world for time or chance is told so (RELIABILITY 3.2): the trace would not repeat. */

const PLACES = [
  [Date, "now"],
  [Math, "random"],
  [performance, "now"],
  [globalThis, "setTimeout"],
  [globalThis, "setInterval"],
  [globalThis, "setImmediate"],
  [crypto, "randomUUID"],
  [crypto, "getRandomValues"],
] as const;

/** Runs `work` with those that give time and chance throwing. */
export async function withPoisonedGlobals<T>(work: () => Promise<T>): Promise<T> {
  const healthy = PLACES.map(([holder, name]) => Object.getOwnPropertyDescriptor(holder, name));
  for (const [holder, name] of PLACES) {
    Object.defineProperty(holder, name, {
      configurable: true,
      writable: true,
      value: () => {
        throw new Error(`sim: ${name} was asked for while a session runs: it must come from a port`);
      },
    });
  }
  try {
    return await work();
  } finally {
    for (const [index, [holder, name]] of PLACES.entries()) {
      const descriptor = healthy[index];
      if (descriptor === undefined) Reflect.deleteProperty(holder, name);
      else Object.defineProperty(holder, name, descriptor);
    }
  }
}
