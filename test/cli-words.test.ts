/** What the command line says: whole words at the end of a terminal's line, and errors that tell what to do next. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { openCliDouble, type Around, type CliDouble, type Said } from "./support/cli-double.ts";
import { runSummary, type EngineDouble } from "./support/engine-double.ts";

let double: CliDouble;
let engine: EngineDouble;
before(async () => {
  double = await openCliDouble();
  ({ engine } = double);
});
after(async () => await double.close());

const LONG = "the disk said that there is no room left for another file, so nothing was written; make room and it is tried again by itself";
const COLUMNS = 40;

async function failedSync(around: Around): Promise<Said> {
  const at = engine.runs.length;
  const said = double.satchel(["sync", "--wait"], around);
  while (engine.runs.length === at) await new Promise((resolve) => setImmediate(resolve));
  engine.runs[at]?.resolve([runSummary({ result: "failed", fault: "offline", error: LONG })]);
  return await said;
}

const simply = (args: readonly string[]) => async (around: Around) => await double.satchel(args, around);

suite("whole words at the end of a narrow terminal's line", () => {
  before(() => {
    const problem = { path: "a.png", reason: "tooLarge", detail: LONG, side: "remote", sinceMs: 1 } as const;
    engine.files.list = () => [{ path: "a.png", state: "problem", sizeBytes: 1, sha1: null, problems: [problem] }];
    engine.sync.plan = async (folder) =>
      await Promise.resolve({
        folder,
        hash: "abc",
        actions: [{ action: "upload", path: "a.png", bytes: 1, reason: LONG }],
        holds: [],
      });
  });

  for (const [name, run] of [
    ["problems", simply(["problems"])],
    ["sync --wait", failedSync],
    ["plan", simply(["plan"])],
    ["an error of the arguments", simply(["conflicts", "resolve", "1", "--keep", "the newest one of both"])],
  ] as const)
    test(`fitted() ${name}`, async () => {
      const [wide, narrow] = [await run({}), await run({ tty: true, columns: COLUMNS, env: { NO_COLOR: "1" } })];
      const [before, text] = [wide.stdout + wide.stderr, narrow.stdout + narrow.stderr];
      assert.ok(
        before.split("\n").some((line) => line.length > COLUMNS),
        before,
      );
      assert.ok(
        text.split("\n").every((line) => line.length <= COLUMNS),
        text,
      );
      assert.equal(text.replaceAll(/\s+/g, " "), before.replaceAll(/\s+/g, " "));
    });
});
