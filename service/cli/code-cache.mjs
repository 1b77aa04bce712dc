// Compiled code is kept between starts (half of a start is compiling): in a directory of the user's own, for whoever writes there runs code as us.
// Before everything else, and for old Nodes too: nothing here may fail or be newer than Node 20.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import nodeModule from "node:module";
import { homedir } from "node:os";
import path from "node:path";
import vm from "node:vm";

const { SATCHEL_HOME, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
const DIGEST_BYTES = 20;
/** What is loaded right after a start counts too; a service that takes longer to start keeps less. */
const KEEP_AFTER_MS = 4000;

/** null: a relative home means the caller's directory, which is not known here. */
function directory() {
  if (SATCHEL_HOME) return path.isAbsolute(SATCHEL_HOME) ? path.join(SATCHEL_HOME, "state", "code-cache") : null;
  if (process.platform === "win32") return LOCALAPPDATA ? path.join(LOCALAPPDATA, "Satchel", "code-cache") : null;
  if (process.platform === "darwin") return path.join(homedir(), "Library", "Caches", "Satchel");
  return path.join(XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(homedir(), ".cache"), "satchel");
}

let own = directory();
try {
  if (own !== null) {
    // The service and the commands use different parts of one file, and what was compiled of a file is written down once.
    const [, , group, verb] = process.argv;
    mkdirSync(own, { recursive: true, mode: 0o700 });
    own = path.join(own, group === "service" && verb === "run" ? "service" : "commands");
    nodeModule.enableCompileCache?.(own);
  }
} catch {
  // A disk that is full or can't be written: the start is slower, that is all.
  own = null;
}

/**
 * Runs a CommonJS bundle of ours (ASCII alone, no `import()`) with all that earlier starts compiled of it. Node's own cache has only what is compiled as a file is loaded,
 * and nearly all is compiled when it is first called.
 */
export function load(file) {
  const require = nodeModule.createRequire(file);
  const run = own === null ? null : prepare(file, path.join(own, "kept"));
  if (run === null) return require(file);
  const module = { exports: {} };
  run.call(module.exports, module.exports, require, module, file, path.dirname(file));
  return module.exports;
}

/** null: it is loaded as any other file. */
function prepare(file, kept) {
  try {
    const bytes = readFileSync(file);
    const digest = digestOf(bytes);
    const place = path.join(kept, `${digestOf(file).toString("hex")}.bin`);
    const cachedData = compiledOf(place, digest);
    const [before, after] = nodeModule.wrapper;
    const script = new vm.Script(`${before}${bytes.latin1Slice()}${after}`, {
      filename: file,
      columnOffset: -before.length,
      cachedData,
    });
    if (cachedData === undefined || script.cachedDataRejected) keepLater(script, place, digest);
    return script.runInThisContext();
  } catch {
    // What can't be read or compiled here says why where Node loads it.
    return null;
  }
}

/** Both the bundle and what was compiled of it are checked: V8 itself looks only at its version and the bundle's length. */
function compiledOf(place, digest) {
  try {
    const kept = readFileSync(place);
    const compiled = kept.subarray(2 * DIGEST_BYTES);
    const whole = digestOf(compiled).equals(kept.subarray(DIGEST_BYTES, 2 * DIGEST_BYTES));
    return whole && digest.equals(kept.subarray(0, DIGEST_BYTES)) ? compiled : undefined;
  } catch {
    // The first start has none.
    return undefined;
  }
}

function keepLater(script, place, digest) {
  let kept = false;
  const keep = () => {
    if (kept) return;
    kept = true;
    try {
      const compiled = script.createCachedData();
      mkdirSync(path.dirname(place), { recursive: true, mode: 0o700 });
      // Of two that write it at once one leaves nonsense, which the digest shows.
      const half = `${place}.half`;
      writeFileSync(half, Buffer.concat([digest, digestOf(compiled), compiled]), { mode: 0o600 });
      renameSync(half, place);
    } catch {
      // As above: the next start is slower, that is all.
    }
  };
  setTimeout(keep, KEEP_AFTER_MS).unref();
  process.once("exit", keep);
}

function digestOf(bytes) {
  return createHash("sha1").update(bytes).digest();
}
