/** Makes `dist/`: everything that runs, without node_modules. `node build.ts [TARGET [DIRECTORY]]`, for example `linux-arm64` or `darwin-arm64`. */
import { rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

import { build, type BuildOptions, type Plugin } from "esbuild";

const target = process.argv[2] ?? `${process.platform}-${process.arch}`;
const [system = "", arch = ""] = target.split("-");
const here = import.meta.dirname;

/** better-sqlite3 exports one entry per target; the watcher chooses its binary at run time, which a bundler can't follow. */
const natives: Plugin = {
  name: "natives",
  setup: (bundler) => {
    bundler.onResolve({ filter: /^better-sqlite3$/ }, async ({ importer, resolveDir, kind }) =>
      importer.includes("node_modules") ? undefined : await bundler.resolve(`better-sqlite3/${target}`, { importer, resolveDir, kind }),
    );
    bundler.onResolve({ filter: /^@parcel\/watcher$/ }, () => ({ path: "watcher", namespace: "natives" }));
    bundler.onLoad({ filter: /.*/, namespace: "natives" }, () => ({ resolveDir: here, contents: watcherSource() }));
  },
};

/** An ESM import of `node:http` makes Node load its whole fetch implementation for the sake of one getter (16 ms); `require` does not. */
const lazyHttp: Plugin = {
  name: "lazy-http",
  setup: (bundler) => {
    bundler.onResolve({ filter: /^node:https?$/ }, ({ path: name, kind }) =>
      kind === "import-statement" ? { path: name, namespace: "by-require" } : undefined,
    );
    bundler.onLoad({ filter: /.*/, namespace: "by-require" }, ({ path: name }) => ({
      contents: `module.exports = require(${JSON.stringify(name)});`,
    }));
  },
};

function watcherSource(): string {
  const libc = system === "linux" ? "-glibc" : system === "linuxmusl" ? "-musl" : "";
  const binary = `@parcel/watcher-${system.replace("musl", "")}-${arch}${libc}/watcher.node`;
  const wrapper = path.join(path.dirname(createRequire(import.meta.url).resolve("@parcel/watcher/package.json")), "wrapper.js");
  return `module.exports = require(${JSON.stringify(wrapper)}).createWrapper(require(${JSON.stringify(binary)}));`;
}

const common = {
  bundle: true,
  platform: "node",
  target: "node22",
  format: "esm",
  outdir: path.resolve(here, process.argv[3] ?? "dist"),
  outExtension: { ".js": ".mjs" },
  // Not minified: an uncaught error would print a line of 28 kB, and start-up is no slower (112 ms against 126).
  minifySyntax: true,
  sourcemap: true,
  loader: { ".node": "copy" },
  assetNames: "[name]",
  logLevel: "warning",
  absWorkingDir: here,
} satisfies BuildOptions;

/** CommonJS libraries inside an ESM bundle ask for Node's own modules by `require`. */
const banner = { js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);' };

/** The entry checks the Node version before it links what an old Node does not have, so it holds nothing else. */
const entry = `#!/usr/bin/env node
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 15)) await import("./main.mjs");
else {
  process.stderr.write(\`satchel needs Node 22.15 or later, this is \${process.version}. Install a newer Node, then try again.\\n\`);
  process.exitCode = 2;
}
`;

await rm(common.outdir, { recursive: true, force: true });
await build({
  ...common,
  entryPoints: { main: "service/main.ts", "hash-worker": "service/files/hash-worker.ts" },
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  plugins: [natives, lazyHttp],
  banner,
});
await writeFile(path.join(common.outdir, "satchel.mjs"), entry, { mode: 0o755 });
