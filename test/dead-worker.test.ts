/** Workers that die: whoever waits is told, and the next call finds another one. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { DiskError } from "../service/core/ports.ts";
import { DiskCrew } from "../service/files/disk-crew.ts";

/** Ends at a file called `die`, and answers everything else. */
const MORTAL = `
import { parentPort } from "node:worker_threads";
parentPort.on("message", ({ id, message }) => {
  if (message.paths.includes("die")) process.exit(0);
  const count = message.paths.length;
  const hashes = { kind: "hash", sha1s: " ".repeat(40 * count), stats: new Float64Array(7 * count), others: new Map(), bytes: 0, elapsedMs: 0 };
  parentPort.postMessage({ id, message: message.kind === "hash" ? hashes : { kind: "names", failed: new Set() } });
});
`;
/** Paths of one message, and messages that one worker is posted ahead. */
const CHUNK = 256;
const AHEAD = 8;

test(
  "DiskCrew: a worker that ends fails what it was asked, and what waits behind that goes to another one",
  { timeout: 60_000 },
  async (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), "satchel-crew-"));
    t.after(() => rmSync(directory, { recursive: true }));
    const worker = path.join(directory, "worker.mjs");
    writeFileSync(worker, MORTAL);
    const crew = new DiskCrew(pathToFileURL(worker));
    t.after(async () => await crew.close());
    const never = new AbortController().signal;
    const ended = (error: unknown): boolean => error instanceof DiskError && error.message.includes("a disk worker ended");
    // More than the workers are posted ahead, so that some of it still waits when they end.
    const asked = Array.from({ length: 4 * AHEAD }, async () => await crew.unlink(["die"]));
    for (const result of await Promise.allSettled(asked)) assert.ok(result.status === "rejected" && ended(result.reason));
    assert.deepEqual(await crew.unlink(["a", "b"]), [true, true]);
    assert.equal(
      (
        await crew.hash(
          Array.from({ length: CHUNK + 1 }, () => "a"),
          1,
          never,
        )
      ).length,
      CHUNK + 1,
    );
  },
);
