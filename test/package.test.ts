/** The editor extension's packages: `npm run package`. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, realpath, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { listFiles, PackageManager } from "@vscode/vsce";

import { VERSION } from "../protocol/version.ts";
import { runToEnd } from "./support/children.ts";
import { isNative, nativeHeader, type NativeFor } from "./support/native-header.ts";
import { orFailInGate } from "./support/optional.ts";

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

const require = createRequire(import.meta.url);
/** Names in the archive (in lower case) and their bytes. The packager's own reader; it has no types. */
const {
  readZip,
}: {
  readZip: (archive: string, wanted: (name: string) => boolean) => Promise<ReadonlyMap<string, Buffer>>;
} = require("@vscode/vsce/out/zip.js");

/** The editor's targets, and what their natives' own headers must say. */
const TARGETS: Readonly<Record<string, NativeFor>> = {
  "linux-x64": { system: "linux", arch: "x64", libc: "glibc" },
  "linux-arm64": { system: "linux", arch: "arm64", libc: "glibc" },
  "alpine-x64": { system: "linux", arch: "x64", libc: "musl" },
  "alpine-arm64": { system: "linux", arch: "arm64", libc: "musl" },
  "darwin-x64": { system: "darwin", arch: "x64", libc: null },
  "darwin-arm64": { system: "darwin", arch: "arm64", libc: null },
  "win32-x64": { system: "win32", arch: "x64", libc: null },
  "win32-arm64": { system: "win32", arch: "arm64", libc: null },
};

/** Why the target's package can't be made without a network here; null: it can. The watcher's binaries of other machines come with the first `npm run package`. */
function whyNotHere(target: string): string | null {
  if (target === TARGET) return null;
  const { version }: { version: string } = require("@parcel/watcher/package.json");
  const cache = path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "satchel", `natives-${version}`);
  const [system = "", arch = ""] = target.split("-");
  const libc = { linux: "-glibc", alpine: "-musl" }[system] ?? "";
  const binary = `watcher-${system.replace("alpine", "linux")}-${arch}${libc}`;
  if (existsSync(path.join(cache, "node_modules", "@parcel", binary, "watcher.node"))) return null;
  return `${binary} is not in the cache: npm run package fetches it`;
}

suite("npm run package", () => {
  let top = "";
  const targets = Object.keys(TARGETS).filter((target) => whyNotHere(target) === null);
  before(async () => {
    top = await realpath(await mkdtemp(path.join(tmpdir(), "satchel-package-")));
    const made = await runToEnd(process.execPath, ["build.ts", "package", "--directory", top, "--stage", top, ...targets], { cwd: ROOT });
    assert.equal(made.code, 0, made.stderr);
  });
  after(async () => await rm(top, { recursive: true, force: true }));

  for (const [target, native] of Object.entries(TARGETS)) {
    const skip = orFailInGate(whyNotHere(target) ?? false);
    test(`${target} vsce ls: nothing but what runs, no node_modules, one service with its two natives`, { skip }, async () => {
      const listed = await listFiles({ cwd: path.join(top, target), packageManager: PackageManager.None });
      const files = listed.map((file) => file.replaceAll("\\", "/"));
      assert.deepEqual(
        files.filter((file) => !ALLOWED.some((pattern) => pattern.test(file))),
        [],
      );
      for (const file of [
        "dist/extension.cjs",
        "dist/service/satchel.mjs",
        "package.nls.de.json",
        "l10n/bundle.l10n.de.json",
        "media/icon.png",
      ])
        assert.ok(files.includes(file), `${file} is missing`);
    });

    test(
      `${target} the package is small, says its target, and its two natives are for that machine by their own headers`,
      { skip },
      async () => {
        const vsix = path.join(top, `satchel-${target}-${VERSION}.vsix`);
        const { size } = await stat(vsix);
        assert.ok(size < PACKAGE_MAX_BYTES, `${String(size)} bytes`);
        const files = await readZip(vsix, () => true);
        assert.match(files.get("extension.vsixmanifest")?.toString() ?? "", new RegExp(`TargetPlatform="${target}"`));
        const natives = [...files].filter(([, bytes]) => isNative(bytes));
        const database = `${target.replace("alpine", "linuxmusl")}.node`;
        assert.deepEqual(
          new Map(natives.map(([name, bytes]) => [name, nativeHeader(bytes)])),
          new Map([database, "watcher.node"].map((name) => [`extension/dist/service/${name}`, native])),
        );
        assert.deepEqual(
          [...files.keys()].filter((name) => name.endsWith(".node")).toSorted(),
          natives.map(([name]) => name).toSorted(),
          "every native is one, and nothing else is",
        );
        assert.ok(![...files.keys()].some((name) => name.includes("node_modules")));
      },
    );
  }

  test("the manifest promises no older editor than the one whose API the sources are checked against", async () => {
    const { engines }: { engines: { vscode: string } } = JSON.parse(await readFile(path.join(top, TARGET, "package.json"), "utf8"));
    const types: { version: string } = require("@types/vscode/package.json");
    assert.equal(engines.vscode, `^${types.version}`);
    assert.ok(!("enabledApiProposals" in JSON.parse(await readFile(path.join(top, TARGET, "package.json"), "utf8"))));
  });

  test("the package names neither this machine nor where the sources stand", async () => {
    const bundle = await readFile(path.join(top, TARGET, "dist", "extension.cjs"), "utf8");
    assert.ok(!bundle.includes(ROOT));
  });

  test("the service in the package runs without anything beside it", async () => {
    const ended = await runToEnd(process.execPath, [path.join(top, TARGET, "dist", "service", "satchel.mjs"), "--version"], { cwd: top });
    assert.equal(ended.stdout, `${VERSION}\n`);
  });
});

test("nativeHeader() tells the eight machines apart: the database's binaries of all of them", async () => {
  const prebuilds = path.join(ROOT, "node_modules", "better-sqlite3", "prebuilds");
  for (const [target, native] of Object.entries(TARGETS))
    assert.deepEqual(nativeHeader(await readFile(path.join(prebuilds, `${target.replace("alpine", "linuxmusl")}.node`))), native, target);
  assert.throws(() => nativeHeader(Buffer.from("#!/bin/sh\n")), /no native binary/);
});
