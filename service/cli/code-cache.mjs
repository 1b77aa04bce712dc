// Compiled code is kept between starts (half of a start is compiling): in a directory of the user's own, for whoever writes there runs code as us.
// Before everything else, and for old Nodes too: nothing here may fail or be newer than Node 20.
import { mkdirSync } from "node:fs";
import nodeModule from "node:module";
import { homedir } from "node:os";
import path from "node:path";

const { SATCHEL_HOME, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;

/** null: a relative home means the caller's directory, which is not known here. */
function directory() {
  if (SATCHEL_HOME) return path.isAbsolute(SATCHEL_HOME) ? path.join(SATCHEL_HOME, "state", "code-cache") : null;
  if (process.platform === "win32") return LOCALAPPDATA ? path.join(LOCALAPPDATA, "Satchel", "code-cache") : null;
  if (process.platform === "darwin") return path.join(homedir(), "Library", "Caches", "Satchel");
  return path.join(XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(homedir(), ".cache"), "satchel");
}

try {
  const own = directory();
  if (own !== null && nodeModule.enableCompileCache !== undefined) {
    // The service and the commands use different parts of one file, and what was compiled of a file is written down once.
    const [, , group, verb] = process.argv;
    mkdirSync(own, { recursive: true, mode: 0o700 });
    nodeModule.enableCompileCache(path.join(own, group === "service" && verb === "run" ? "service" : "commands"));
  }
} catch {
  // A disk that is full or can't be written: the start is slower, that is all.
}
