/**
 * `npm run bench [-- ROW …]`: each row of PERFORMANCE's targets as a ratio in one run against its reference. All rows (or `--write`)
 * write RESULTS.md beside this file, where the remarks under the table stay; single rows are printed only.
 */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

import { findAnki } from "../anki/venv.ts";
import { openBench, type Bench, type Figure, type Row } from "./bench.ts";
import { machine } from "./measure.ts";
import { KILL_ROW } from "./kill.ts";
import { ACCOUNTS_ROW } from "./rows-accounts.ts";
import { LIVE_ROWS } from "./rows-live.ts";
import { SCAN_ROWS } from "./rows-scan.ts";
import { TRANSFER_ROWS } from "./rows-transfer.ts";

const ROWS: readonly Row[] = [...SCAN_ROWS, ...TRANSFER_ROWS, ...LIVE_ROWS, ACCOUNTS_ROW, KILL_ROW];

/** What people say of the figures begins with this, and is theirs. */
const REMARKS = "\n## Remarks\n";

function line(row: string, { what, value, reference, ratio, target, met }: Figure): string {
  const verdict = met === null ? "" : met ? "yes" : "**no**";
  return `| ${row} | ${what} | ${value} | ${reference} | ${ratio === null ? "" : ratio.toFixed(2)} | ${target} | ${verdict} |`;
}

/** What ships is what is measured. */
async function bundle(bench: Bench): Promise<string> {
  const directory = await bench.scratch();
  const build = path.join(import.meta.dirname, "..", "..", "build.ts");
  execFileSync(process.execPath, [build, `${process.platform}-${process.arch}`, directory], { stdio: ["ignore", "ignore", "inherit"] });
  return path.join(directory, "satchel.mjs");
}

if (process.argv.includes("--help")) {
  process.stdout.write(
    `npm run -s bench -- [ROW ...] [--write]\nRows: ${ROWS.map(({ id }) => id).join(" ")}. None: all of them, which takes half an hour.\n`,
  );
  process.exit(0);
}
const asked = process.argv.slice(2).filter((word) => /^[a-z]/.test(word));
const unknown = asked.filter((word) => !ROWS.some(({ id }) => id === word));
if (unknown.length > 0) {
  process.stderr.write(`no such row: ${unknown.join(" ")}; there are ${ROWS.map(({ id }) => id).join(" ")}\n`);
  process.exit(2);
}
const bench = openBench(await findAnki());
process.env["SATCHEL_ENTRY"] = await bundle(bench);
const lines = ["| row | what | measured | reference | ratio | target | met |", "| --- | --- | --- | --- | --- | --- | --- |"];
let failed = 0;
try {
  for (const { id, run } of ROWS.filter((row) => asked.length === 0 || asked.includes(row.id))) {
    process.stderr.write(`${id} …\n`);
    try {
      const told = await run(bench);
      const added = "skipped" in told ? [`| ${id} | skipped: ${told.skipped} | | | | | |`] : told.map((figure) => line(id, figure));
      lines.push(...added);
      process.stderr.write(`${added.join("\n")}\n`);
    } catch (error) {
      failed++;
      const [why = ""] = String(error).split("\n");
      lines.push(`| ${id} | failed: ${why.replaceAll("|", "/")} | | | | | **no** |`);
      process.stderr.write(`${error instanceof Error ? (error.stack ?? "") : String(error)}\n`);
    }
  }
} finally {
  await bench.close();
}
const command = ["npm run bench", ...(asked.length === 0 ? [] : ["--", ...asked])].join(" ");
const head = `${machine()}, ${new Date().toISOString().slice(0, 16)}Z, \`${command}\`. Ratios are within this run.`;
const report = `# Speed, measured\n\n${head}\n\n${lines.join("\n")}\n`;
process.stdout.write(report);
if (asked.length === 0 || process.argv.includes("--write")) {
  const file = path.join(import.meta.dirname, "RESULTS.md");
  const before = await readFile(file, "utf8").catch(() => "");
  const remarks = before.indexOf(REMARKS);
  await writeFile(file, remarks < 0 ? report : `${report}${before.slice(remarks)}`);
}
process.exitCode = failed > 0 ? 1 : 0;
