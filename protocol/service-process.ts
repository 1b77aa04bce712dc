/** What a service process must be told before it begins: later, neither its thread pool nor its C library listens. For whoever starts one. */
export const SERVICE_PROCESS = {
  /** Hashing, zstd and file calls share libuv's pool; its default of 4 threads would make them wait for one another. */
  UV_THREADPOOL_SIZE: "16",
  /** glibc keeps what each of two dozen threads has freed: at rest after a scan of 100 000 files that is a quarter of the memory. Nobody else reads it. */
  MALLOC_ARENA_MAX: "2",
  /** And it keeps the more at the heap's end, the larger the largest block was: this much, whatever came before. Bytes. */
  MALLOC_TRIM_THRESHOLD_: "131072",
} as const satisfies Readonly<Record<string, string>>;

/** What the starter's own environment says goes before it. */
export function serviceProcessOf(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(SERVICE_PROCESS).map(([name, value]) => [name, env[name] ?? value]));
}
