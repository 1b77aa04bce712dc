/** Small decisions of the core that others are built on, each by itself. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { isPingPong, PING_PONG_CHANGES } from "../service/core/guard.ts";
import type { Change } from "../service/core/model.ts";
import { nextLookMs, retryDelayMs, streamRetryMs } from "../service/core/schedule.ts";
import { standsFor, twinName } from "../service/core/twin-names.ts";

const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex");
/** The longest wait that chance gives. */
const longest = { u32: () => 0xffff_ffff };

test("twinName() FN10 puts the stand-in mark before the extension, and standsFor() finds the way back", () => {
  for (const path of ["A.png", "sub/É.tar.gz", "sub.dir/noext", ".hidden", "sub/.hidden", "a.twin-0000.png"]) {
    const name = twinName(path, sha1);
    assert.ok(name.includes(`.twin-${sha1(path).slice(0, 4)}`), name);
    assert.equal(standsFor(name, sha1), path);
  }
  assert.match(twinName("sub/A.png", sha1), /^sub\/A\.twin-[0-9a-f]{4}\.png$/);
  assert.match(twinName(".hidden", sha1), /^\.hidden\.twin-[0-9a-f]{4}$/);
});

test("standsFor() FN10 a name that only looks like a stand-in is a name like any other", () => {
  const wrong = sha1("A.png").startsWith("0000") ? "1111" : "0000";
  for (const name of ["A.png", `A.twin-${wrong}.png`, "A.twin-12.png", ".twin-zzzz"]) assert.equal(standsFor(name, sha1), null, name);
  // A dotted end without a stem is no extension to `twinName`, so it never made this one.
  assert.equal(standsFor(`.twin-${sha1(".png").slice(0, 4)}.png`, sha1), null);
});

test("isPingPong() PR21 tells two programs that undo each other from a person at work", () => {
  const rounds = Array.from({ length: PING_PONG_CHANGES }, (_, index): Pick<Change, "sha1" | "origin" | "atMs"> =>
    index % 2 === 0 ? { sha1: "b", origin: "user", atMs: 10 } : { sha1: "a", origin: "apply", atMs: 10 },
  );
  assert.equal(isPingPong(rounds, 0), true);
  assert.equal(isPingPong(rounds, 10), false, "too long ago");
  assert.equal(isPingPong(rounds.slice(1), 0), false, "too few");
  assert.equal(isPingPong([], 0), false);
  assert.equal(isPingPong(rounds.slice(0, 1), 0), false);
  assert.equal(isPingPong(rounds.with(2, { sha1: "new", origin: "user", atMs: 10 }), 0), false, "new bytes");
  assert.equal(isPingPong(rounds.with(2, { sha1: "b", origin: "apply", atMs: 10 }), 0), false, "nobody undid it");
  const same = rounds.map((round) => ({ ...round, sha1: "a" }));
  assert.equal(isPingPong(same, 0), false);
});

test("retryDelayMs() L5 a server that is away and a root that is away are looked for soon; what the remote asks for is kept", () => {
  const after = (fault: string | null, retryAfterMs: number | null = null): number =>
    retryDelayMs({ fault, failures: 20, retryAfterMs }, longest);
  assert.ok(after("server") > 60_000);
  assert.equal(after(null), after("server"));
  assert.equal(after("offline"), 60_000);
  assert.equal(after("rootMissing"), 15_000);
  assert.ok(after("rootMissing", 90_000) >= 90_000);
});

test("streamRetryMs() L5 the first tries come quickly, none later than a minute", () => {
  assert.equal(streamRetryMs(1, longest), streamRetryMs(3, longest));
  assert.ok(streamRetryMs(5, longest) > streamRetryMs(3, longest));
  assert.equal(streamRetryMs(50, longest), 60_000);
});

test("nextLookMs() the next run, or the next try of the stream where that comes first, but not before what the remote asked for", () => {
  const next = (runAtMs: number | null, streamTryAtMs: number | null, notBeforeMs: number | null = null): number | null =>
    nextLookMs({ runAtMs, streamTryAtMs, notBeforeMs });
  assert.deepEqual([next(null, null), next(5, null), next(5, 3), next(5, 9), next(null, 9)], [null, 5, 3, 5, 9]);
  assert.deepEqual([next(null, 3, 8), next(null, 9, 8)], [8, 9]);
});
