/** Commands that go on until Ctrl-C: what ends them, and what they say and leave behind then. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { openCliDouble } from "./support/cli-double.ts";

/** Resolves `waiting` when the command has nothing left to do but wait for Ctrl-C, which comes with `press`. */
function keyboard() {
  const waiting = Promise.withResolvers<void>();
  const pressed = Promise.withResolvers<void>();
  const interrupted = async (): Promise<void> => {
    waiting.resolve();
    await pressed.promise;
  };
  return { interrupted, waiting: waiting.promise, press: pressed.resolve };
}

suite("the service ends under a command that follows it", () => {
  for (const [args, again] of [
    [["events", "--follow"], "satchel events --follow --since 0"],
    [["events", "--follow", "--since", "1", "--json"], "satchel events --follow --since 1"],
    [["sync", "--watch"], "satchel sync --watch"],
  ] as const)
    test(`untilInterrupted() ${args.join(" ")}: exit 5, and how to go on`, async () => {
      const double = await openCliDouble();
      const { interrupted, waiting } = keyboard();
      const said = double.satchel(args, { host: { interrupted } });
      await waiting;
      await double.close();
      const { code, stderr } = await said;
      assert.equal(code, 5);
      assert.match(stderr, /The service has ended.*`satchel service start`/);
      assert.ok(stderr.includes(again), stderr);
    });

  for (const args of [["events", "--follow"], ["sync", "--watch"]])
    test(`untilInterrupted() ${args.join(" ")}: Ctrl-C is no trouble`, async (t) => {
      const double = await openCliDouble();
      t.after(async () => await double.close());
      const { interrupted, waiting, press } = keyboard();
      const said = double.satchel(args, { host: { interrupted } });
      await waiting;
      press();
      const { code, stderr } = await said;
      assert.equal(code, 0);
      assert.doesNotMatch(stderr, /has ended/);
    });
});
