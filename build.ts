/**
 * Makes what runs without node_modules. `node build.ts [TARGET [DIRECTORY]]` makes the service (and without DIRECTORY, in `dist/`, the editor
 * extension beside it), for example for `linux-arm64` or `darwin-arm64`; `node build.ts package [--directory DIRECTORY] [--stage DIRECTORY] [TARGET…]` makes the
 * extension's packages, in `dist/packages` unless told otherwise; a stage that is named is kept.
 */
import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";

import { build, type BuildOptions, type Plugin } from "esbuild";

import { VERSION } from "./protocol/version.ts";

const here = import.meta.dirname;
const run = promisify(execFile);

/** Our targets by the editor's names for them. The C library stands in the system's name, as better-sqlite3 has it. */
const EDITOR_TARGETS: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "alpine-x64": "linuxmusl-x64",
  "alpine-arm64": "linuxmusl-arm64",
  "darwin-x64": "darwin-x64",
  "darwin-arm64": "darwin-arm64",
  "win32-x64": "win32-x64",
  "win32-arm64": "win32-arm64",
};
/** The oldest editor whose own Node (22.15) runs the service. */
const EDITOR_MINIMUM = "^1.101.0";

/** better-sqlite3 exports one entry per target; the watcher chooses its binary at run time, which a bundler can't follow. */
function natives(target: string, watcher: string): Plugin {
  return {
    name: "natives",
    setup: (bundler) => {
      bundler.onResolve({ filter: /^better-sqlite3$/ }, async ({ importer, resolveDir, kind }) =>
        importer.includes("node_modules") ? undefined : await bundler.resolve(`better-sqlite3/${target}`, { importer, resolveDir, kind }),
      );
      bundler.onResolve({ filter: /^@parcel\/watcher$/ }, () => ({ path: "watcher", namespace: "natives" }));
      bundler.onLoad({ filter: /.*/, namespace: "natives" }, () => ({ resolveDir: here, contents: watcher }));
    },
  };
}

const require = createRequire(import.meta.url);

async function watcherSource(target: string): Promise<string> {
  const [system = "", arch = ""] = target.split("-");
  const libc = system === "linux" ? "-glibc" : system === "linuxmusl" ? "-musl" : "";
  const binary = await watcherBinary(`@parcel/watcher-${system.replace("musl", "")}-${arch}${libc}`);
  const wrapper = path.join(path.dirname(require.resolve("@parcel/watcher/package.json")), "wrapper.js");
  return `module.exports = require(${JSON.stringify(wrapper)}).createWrapper(require(${JSON.stringify(binary)}));`;
}

/** npm installs the binary of this machine only: those of others are fetched once, into the user's cache. */
async function watcherBinary(name: string): Promise<string> {
  const inside = path.join("node_modules", name, "watcher.node");
  if (existsSync(path.join(here, inside))) return path.join(here, inside);
  const { version }: { version: string } = require("@parcel/watcher/package.json");
  const cache = path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "satchel", `natives-${version}`);
  const binary = path.join(cache, inside);
  if (!existsSync(binary)) {
    await mkdir(cache, { recursive: true });
    // `force`: the package is not for this machine. Saved in a package.json that stays, or the next one would take this one away again.
    if (!existsSync(path.join(cache, "package.json"))) await writeFile(path.join(cache, "package.json"), '{ "private": true }\n');
    const args = [
      "install",
      "--force",
      "--save-exact",
      "--prefer-offline",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      `${name}@${version}`,
    ];
    await run("npm", args, { cwd: cache, shell: process.platform === "win32" });
  }
  return binary;
}

const common = {
  bundle: true,
  platform: "node",
  target: "node22",
  // Not minified: an uncaught error would print a line of 28 kB, and start-up is no slower (112 ms against 126).
  minifySyntax: true,
  sourcemap: true,
  logLevel: "warning",
  absWorkingDir: here,
} satisfies BuildOptions;

/** The schemas' library brings its words in fifty languages (400 kB to be read at every start); ours are English. */
const oneLocale: Plugin = {
  name: "one-locale",
  setup: (bundler) => {
    bundler.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({ contents: 'export { default as en } from "./en.js";' }));
  },
};

/** TLS with its certificates is 8 ms of a start, and most services never speak it: it is loaded when something of it is first used. */
const lateTls: Plugin = {
  name: "late-tls",
  setup: (bundler) => {
    bundler.onResolve({ filter: /^(?:node:)?(?:https|tls)$/ }, ({ path: name, importer }) =>
      // Of those that take it whole; who imports single names would find none.
      /[\\/](?:node_modules[\\/]ws[\\/]lib[\\/]websocket\.js|remotes[\\/]node-transport\.ts)$/.test(importer)
        ? { path: name, namespace: "late" }
        : undefined,
    );
    bundler.onLoad({ filter: /.*/, namespace: "late" }, ({ path: name }) => ({
      // Whether it is an ES module is asked at the import, of which it must not be loaded.
      contents: `module.exports = new Proxy({}, { get: (_, key) => key === "__esModule" ? undefined : require(${JSON.stringify(name)})[key] });`,
    }));
  },
};

/** The sync server is a bundle of its own: its web framework is as large as all the rest, and neither service nor command line wants to read it. */
const serverApart: Plugin = {
  name: "server-apart",
  setup: (bundler) => {
    bundler.onResolve({ filter: /compose\/server\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./server.cjs", external: true } : undefined,
    );
  },
};

/** The entry checks the Node version before it loads what an old Node does not have, so it holds nothing else. */
const entry = `#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 15)) {
  const require = process.getBuiltinModule("node:module").createRequire(import.meta.url);
  require("./code-cache.cjs").load(require.resolve("./main.cjs"));
} else {
  process.stderr.write(\`satchel needs Node 22.15 or later, this is \${process.version}. Install a newer Node, then try again.\\n\`);
  process.exitCode = 2;
}
`;

/**
 * Command line, service and server in one entry, for one target. CommonJS, one file for all that a start needs: an ESM import of one of Node's own
 * modules touches all its getters (all of fetch, webcrypto, streams for their sake), and each further file costs a millisecond.
 */
async function buildService(target: string, directory: string, options: BuildOptions = {}): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await build({
    ...common,
    format: "cjs",
    // What is run with kept code (cli/code-cache.mjs) can't import by itself without a warning of Node's.
    supported: { "dynamic-import": false },
    outdir: directory,
    outExtension: { ".js": ".cjs" },
    loader: { ".node": "copy" },
    assetNames: "[name]",
    entryPoints: {
      main: "service/main.ts",
      server: "service/compose/server.ts",
      "disk-worker": "service/files/disk-worker.ts",
      "note-worker": "service/notes/note-worker.ts",
      "code-cache": "service/cli/code-cache.mjs",
    },
    define: { "import.meta.url": "bundleUrl" },
    banner: { js: 'const bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
    plugins: [natives(target, await watcherSource(target)), oneLocale, lateTls, serverApart],
    ...options,
  });
  for (const file of globSync("*.cjs", { cwd: directory })) await toAscii(path.join(directory, file));
  await writeFile(path.join(directory, "satchel.mjs"), entry, { mode: 0o755 });
}

/**
 * One character beyond Latin makes V8 hold all of a file at two bytes a character, to be decoded, scanned and paged in at every start. The bundler escapes
 * those in strings; what is left stands in comments and regular expressions, where an escape means the same or nothing.
 */
async function toAscii(file: string): Promise<void> {
  const text = await readFile(file, "utf8");
  // oxlint-disable-next-line no-control-regex -- the range is meant
  const ascii = text.replaceAll(/[^\u0000-\u007f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  if (ascii !== text) await writeFile(file, ascii);
}

/** The extension as the editor loads it: manifest, texts, icons, its bundle and a service for one target. */
async function stageExtension(target: string, directory: string, options: BuildOptions = {}): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await buildService(target, path.join(directory, "dist", "service"), options);
  await build({
    ...common,
    format: "cjs",
    outfile: path.join(directory, "dist", "extension.cjs"),
    entryPoints: ["extension/main.ts"],
    external: ["vscode", "bufferutil", "utf-8-validate"],
    mainFields: ["module", "main"],
    ...options,
  });
  await build({
    ...common,
    platform: "browser",
    target: "chrome128",
    format: "esm",
    outdir: path.join(directory, "dist", "compare"),
    entryPoints: { page: "extension/compare-page/main.ts", compare: "media/compare.css" },
    ...options,
  });
  await writeFile(path.join(directory, "package.json"), `${JSON.stringify(await manifest(), null, 2)}\n`);
  for (const file of globSync(["extension/package.nls*.json", "extension/l10n/*.json", "extension/README.md"], { cwd: here }))
    await cp(path.join(here, file), path.join(directory, path.relative("extension", file)));
  for (const file of ["CHANGELOG.md", "LICENSE"]) await cp(path.join(here, file), path.join(directory, file));
  await cp(path.join(here, "media"), path.join(directory, "media"), {
    recursive: true,
    filter: (file) => !/screenshot|compare\.css|terminal\.txt/.test(file),
  });
}

async function manifest(): Promise<Record<string, unknown>> {
  const { name, license }: { name: string; license: string } = JSON.parse(await readFile(path.join(here, "package.json"), "utf8"));
  const ours: Record<string, unknown> = JSON.parse(await readFile(path.join(here, "extension", "manifest.json"), "utf8"));
  return { name, version: VERSION, license, engines: { vscode: EDITOR_MINIMUM }, ...ours };
}

/** One package for each of the editor's targets. Returns their files. `stageRoot`: what goes into them is kept there, by target. */
async function packageExtension(targets: readonly string[], directory: string, stageRoot: string | null): Promise<readonly string[]> {
  await mkdir(directory, { recursive: true });
  const made: string[] = [];
  for (const target of targets) {
    const ours = EDITOR_TARGETS[target];
    if (ours === undefined) throw new Error(`There is no target ${target}. There are: ${Object.keys(EDITOR_TARGETS).join(", ")}.`);
    const stage = path.join(stageRoot ?? path.join(directory, "stage"), target);
    // Whitespace alone: names stay, so that a stack in somebody's report can be read.
    await stageExtension(ours, stage, { minifyWhitespace: true, sourcemap: false });
    const file = path.join(directory, `satchel-${target}-${VERSION}.vsix`);
    const vsce = path.join(here, "node_modules", "@vscode", "vsce", "vsce");
    const args = [vsce, "package", "--no-dependencies", "--allow-missing-repository", "--target", target, "--out", file];
    await run(process.execPath, args, { cwd: stage });
    made.push(file);
  }
  if (stageRoot === null) await rm(path.join(directory, "stage"), { recursive: true, force: true });
  return made;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { directory: { type: "string", default: path.join(here, "dist", "packages") }, stage: { type: "string" } },
});
const [first, ...rest] = positionals;
if (first === "package") {
  const targets = rest.length > 0 ? rest : Object.keys(EDITOR_TARGETS);
  for (const file of await packageExtension(targets, path.resolve(values.directory), values.stage ?? null))
    process.stdout.write(`${path.relative(process.cwd(), file)}\n`);
} else {
  const target = first ?? `${process.platform}-${process.arch}`;
  await buildService(target, path.resolve(here, rest[0] ?? "dist"));
  if (rest[0] === undefined) await stageExtension(target, path.join(here, "dist", "extension"));
}
