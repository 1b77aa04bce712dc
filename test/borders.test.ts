import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { MAY_IMPORT } from "../borders.ts";

const ROOT = path.join(import.meta.dirname, "..");
/** The one file that may step over a border: it only chooses the Node that then loads `service/main.ts`. */
const LAUNCHER = "service/cli/launch.mjs";
/** Catches what the linter does not see as well: `./../x`, `typeof import("…")`, `new URL("…", import.meta.url)`. */
const REFERENCE = /(?:\bfrom|\bimport|\brequire|\bnew URL)\s*\(?\s*["'](\.[^"']*)["']/g;
/** Code that would let a clock, chance or a promise into the pure core without a name the linter bans, and barrels it does not count. */
const IMPURE = /\bMath\.random\b|\basync\b|\bawait\b|^export \{[^}]*\} from/m;

type Source = { readonly file: string; readonly text: string };

function sources(): readonly Source[] {
  return globSync("{protocol,service,extension}/**/*.{ts,mjs}", { cwd: ROOT })
    .map((file) => file.split(path.sep).join("/"))
    .toSorted()
    .map((file) => ({ file, text: readFileSync(path.join(ROOT, file), "utf8") }));
}

/** The listed place that holds `file`, the most precise one first; undefined: nobody listed it. */
function placeOf(file: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((place) => file === place || file.startsWith(`${place}/`))
    .toSorted((a, b) => b.length - a.length)[0];
}

/** The remote whose own folder holds `file`, or undefined for the files between the remotes. */
function remoteOf(file: string): string | undefined {
  return /^service\/remotes\/([^/]+)\//.exec(file)?.[1];
}

/** Why `file` may not refer to `target` (both relative to the repository), or undefined when it may. */
function offence(file: string, target: string): string | undefined {
  const from = placeOf(file);
  const to = placeOf(target);
  if (from === undefined) return `${file}: stands in no place that borders.ts lists`;
  if (to === undefined) return `${file}: refers to ${target}, which is in no place that borders.ts lists`;
  if (from !== to && !(MAY_IMPORT[from] ?? []).includes(to)) return `${file}: ${from} may not import ${to} (${target})`;
  const inside = remoteOf(target);
  // `open.ts` is the one file between the remotes that knows which kinds there are; `compose/` composes.
  const composes = from === "service/compose" || file === "service/remotes/open.ts";
  if (inside !== undefined && !composes && remoteOf(file) !== inside)
    return `${file}: the inside of remote "${inside}" is its own (${target})`;
  return undefined;
}

function offencesIn({ file, text }: Source): readonly string[] {
  if (placeOf(file) === undefined) return [`${file}: stands in no place that borders.ts lists`];
  const targets = [...text.matchAll(REFERENCE)].map((match) => path.posix.join(path.posix.dirname(file), match[1] ?? ""));
  return targets.map((target) => offence(file, target)).filter((found) => found !== undefined);
}

test("MAY_IMPORT §2 every source refers only to the places its own may import", () => {
  const all = sources();
  assert.ok(all.length >= 10, `only ${String(all.length)} sources found: the glob is wrong`);
  assert.deepEqual(
    all.filter(({ file }) => file !== LAUNCHER).flatMap((source) => offencesIn(source)),
    [],
  );
});

const planted: readonly (readonly [what: string, source: Source])[] = [
  ["a lower rank imports a higher one", { file: "service/core/a.ts", text: 'import { x } from "../engine/run.ts";' }],
  ["siblings of one rank", { file: "service/store/a.ts", text: 'import type { X } from "../files/x.ts";' }],
  ["a path that is not normalised", { file: "service/store/a.ts", text: 'import { x } from "./../engine/x.ts";' }],
  ["typeof import()", { file: "service/rpc/a.ts", text: 'type X = typeof import("../server/x.ts");' }],
  ["new URL()", { file: "service/engine/a.ts", text: 'new Worker(new URL("../server/x.ts", import.meta.url));' }],
  ["a re-export", { file: "protocol/a.ts", text: 'export { x } from "../service/core/x.ts";' }],
  ["the inside of a remote", { file: "service/engine/a.ts", text: 'import { x } from "../remotes/anki/zip.ts";' }],
  ["one remote and another's inside", { file: "service/remotes/fossil/a.ts", text: 'import { x } from "../anki/zip.ts";' }],
  ["anything and test/", { file: "service/engine/a.ts", text: 'import { x } from "../../test/support/x.ts";' }],
  ["the extension and the service", { file: "extension/a.ts", text: 'import { x } from "../service/core/x.ts";' }],
  ["a place nobody listed", { file: "service/utils/a.ts", text: "export const x = 1;" }],
  ["dynamic import()", { file: "service/cli/a.ts", text: 'await import("../server/run.ts");' }],
];
for (const [what, source] of planted)
  test(`offencesIn() §2 finds a planted line: ${what}`, () => assert.equal(offencesIn(source).length, 1, source.text));

const allowed: readonly Source[] = [
  { file: "service/engine/a.ts", text: 'import { x } from "../core/x.ts"; import { y } from "../remotes/anki.ts"; import "./b.ts";' },
  { file: "service/remotes/anki/a.ts", text: 'import { x } from "./zip.ts"; import { y } from "../../../protocol/anki/zip.ts";' },
  { file: "service/main.ts", text: 'await import("./server/run.ts"); new URL("./files/disk-worker.ts", import.meta.url);' },
];
for (const source of allowed)
  test(`offencesIn() §2 lets an allowed line of ${source.file} pass`, () => assert.deepEqual(offencesIn(source), []));

test("core §2 is pure: no chance, nothing asynchronous, no barrel", () => {
  const core = sources().filter(({ file }) => file.startsWith("service/core/"));
  assert.ok(core.length > 0, "no file of service/core found");
  const bad = core.filter(({ text }) => IMPURE.test(withoutComments(text))).map(({ file }) => file);
  assert.deepEqual(bad, []);
});

for (const line of ["const r = Math.random();", "export async function f() {}", "await x;", 'export { a } from "./a.ts";'])
  test(`IMPURE §2 finds the planted line ${line}`, () => assert.ok(IMPURE.test(withoutComments(`const x = 1;\n${line}`))));

test("withoutComments() §2 keeps code and drops prose", () =>
  assert.equal(withoutComments("/** an async thing */\nconst x = 1; // await\n").trim(), "const x = 1;"));

/** Words in comments are no offence. Strings stay: a URL in a core file would be worth a look anyway. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}
