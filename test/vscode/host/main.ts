/** Runs inside the editor's extension host (`extensionTestsPath`): the editor calls `run`, every outcome leaves as one line of JSON. */
import Mocha from "mocha";

import { TESTS } from "./tests.ts";

/** Said before each line that is an outcome. */
const MARK = "satchel-test ";
const SLOW_MS = 60_000;

export async function run(): Promise<void> {
  const mocha = new Mocha({ timeout: SLOW_MS, reporter: Mocha.reporters.Base });
  for (const [title, work] of Object.entries(TESTS)) mocha.suite.addTest(new Mocha.Test(title, async () => await work()));
  await new Promise<void>((resolve, reject) => {
    const runner = mocha.run((failures) => (failures === 0 ? resolve() : reject(new Error(`${String(failures)} failed`))));
    const tell = (title: string, error: string | null) => console.log(`${MARK}${JSON.stringify({ title, error })}`);
    runner.on("pass", ({ title }) => tell(title, null));
    runner.on("fail", ({ title }, error: unknown) => tell(title, error instanceof Error ? (error.stack ?? error.message) : String(error)));
  });
}
