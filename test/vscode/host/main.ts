/** Runs inside the editor's extension host (`extensionTestsPath`): the editor calls `run`, every outcome leaves as one line of JSON. */
import { FIXES } from "./fixes.ts";
import { RENAMES } from "./renames.ts";
import { SAVES } from "./saves.ts";
import { TESTS } from "./tests.ts";

/** Said before each line that is an outcome. */
const MARK = "satchel-test ";

export async function run(): Promise<void> {
  let failures = 0;
  for (const [title, work] of Object.entries({ ...TESTS, ...FIXES, ...RENAMES, ...SAVES })) {
    const error = await work().then(
      () => null,
      (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)),
    );
    if (error !== null) failures += 1;
    console.log(`${MARK}${JSON.stringify({ title, error })}`);
  }
  // The editor ends with 1 then.
  if (failures > 0) throw new Error(`${String(failures)} failed`);
}
