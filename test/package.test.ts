/** The editor extension's packages: `npm run package`. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { listFiles, PackageManager } from "@vscode/vsce";

import { VERSION } from "../protocol/version.ts";
import { runToEnd } from "./support/children.ts";

const ROOT = path.join(import.meta.dirname, "..");
const TARGET = `${process.platform}-${process.arch}`;
const PACKAGE_MAX_BYTES = 3_000_000;

/** What may be in a package, by pattern. Everything else is an accident. */
const ALLOWED = [
  /^package\.json$/,
  /^package\.nls(?:\.de)?\.json$/,
  /^l10n\/bundle\.l10n\.de\.json$/,
  /^(?:README|CHANGELOG)\.md$/,
  /^LICENSE(?:\.txt)?$/,
  /^media\/[a-z-]+\.(?:svg|png|css|js)$/,
  /^dist\/extension\.cjs$/,
  /^dist\/compare\/(?:page\.js|compare\.css)$/,
  /^dist\/service\/satchel\.mjs$/,
  /^dist\/service\/[a-z-]+\.cjs$/,
  /^dist\/service\/[\w-]+\.node$/,
];

suite("npm run package", () => {
  let top = "";
  let stage = "";
  before(async () => {
    top = await realpath(await mkdtemp(path.join(tmpdir(), "satchel-package-")));
    stage = path.join(top, TARGET);
    const made = await runToEnd(process.execPath, ["build.ts", "package", "--directory", top, "--stage", top, TARGET], { cwd: ROOT });
    assert.equal(made.code, 0, made.stderr);
  });
  after(async () => await rm(top, { recursive: true, force: true }));

  test("vsce ls: nothing but what runs, no node_modules, one service with its two natives", async () => {
    const files = (await listFiles({ cwd: stage, packageManager: PackageManager.None })).map((file) => file.replaceAll("\\", "/"));
    assert.deepEqual(
      files.filter((file) => !ALLOWED.some((pattern) => pattern.test(file))),
      [],
    );
    assert.equal(files.filter((file) => file.endsWith(".node")).length, 2);
    for (const file of [
      "dist/extension.cjs",
      "dist/service/satchel.mjs",
      "package.nls.de.json",
      "l10n/bundle.l10n.de.json",
      "media/icon.png",
    ])
      assert.ok(files.includes(file), `${file} is missing`);
  });

  test("the package is small, and names neither this machine nor where the sources stand", async () => {
    const vsix = path.join(top, `satchel-${TARGET}-${VERSION}.vsix`);
    const { size } = await stat(vsix);
    assert.ok(size < PACKAGE_MAX_BYTES, `${String(size)} bytes`);
    const bundle = await readFile(path.join(stage, "dist", "extension.cjs"), "utf8");
    assert.ok(!bundle.includes(ROOT));
  });

  test("the service in the package runs without anything beside it", async () => {
    const ended = await runToEnd(process.execPath, [path.join(stage, "dist", "service", "satchel.mjs"), "--version"], { cwd: top });
    assert.equal(ended.stdout, `${VERSION}\n`);
  });
});
