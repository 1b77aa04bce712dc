/**
 * Where Satchel's own files are. Computed only (nothing is made or looked at), so that service, command line and editor agree.
 * Source: DESIGN §8 and §11 "Places and identity".
 */
import { createHash } from "node:crypto";
import path from "node:path";

/** What decides; production hands in the process's own. */
export type PlacesInput = {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDir: string;
  readonly tmpDir: string;
  /** What a relative `SATCHEL_HOME` is relative to. */
  readonly cwd: string;
  /** null on Windows. */
  readonly uid: number | null;
};

/** All absolute. */
export type Places = {
  /** config.json, secrets.json, device.json. */
  readonly config: string;
  /** state.db, versions/, run/. */
  readonly state: string;
  /** service.json and the socket: never `$XDG_RUNTIME_DIR`, which some of a user's shells lack. */
  readonly run: string;
  readonly socket: string;
  /** The directory of `socket` where it is not `run` (path too long); null else. */
  readonly socketDir: string | null;
};

/** Systems end at 104 to 108 bytes, and Node then says EINVAL. */
const SOCKET_PATH_MAX_BYTES = 100;

/** @throws Error when the environment gives no usable directory, saying which variable to set */
export function placesOf(input: PlacesInput): Places {
  const on = input.platform === "win32" ? path.win32 : path.posix;
  const { config, state } = roots(input, on);
  const run = on.join(state, "run");
  const hash16 = createHash("sha256")
    .update(input.platform === "win32" ? run.toLowerCase() : run)
    .digest("hex")
    .slice(0, 16);
  if (input.platform === "win32") return { config, state, run, socket: `\\\\.\\pipe\\satchel-${hash16}`, socketDir: null };
  const near = on.join(run, "s.sock");
  if (Buffer.byteLength(near) <= SOCKET_PATH_MAX_BYTES) return { config, state, run, socket: near, socketDir: null };
  const socketDir = on.join(input.tmpDir, `satchel-${input.uid ?? 0}`);
  const socket = on.join(socketDir, `${hash16}.sock`);
  if (Buffer.byteLength(socket) > SOCKET_PATH_MAX_BYTES)
    throw new Error(
      `No place for the socket: ${near} and ${socket} are both over ${SOCKET_PATH_MAX_BYTES} bytes. Set SATCHEL_HOME or TMPDIR.`,
    );
  return { config, state, run, socket, socketDir };
}

function roots(input: PlacesInput, on: path.PlatformPath): { readonly config: string; readonly state: string } {
  const { env, homeDir, platform } = input;
  const home = env["SATCHEL_HOME"];
  if (home !== undefined && home !== "") {
    const config = on.isAbsolute(home) ? on.normalize(home) : on.join(input.cwd, home);
    return { config, state: on.join(config, "state") };
  }
  if (!on.isAbsolute(homeDir)) throw new Error("The home directory is not known. Set HOME, or SATCHEL_HOME to a directory for Satchel.");
  /** A variable that is empty or relative counts as not set, as the XDG specification wants. */
  const from = (name: string, otherwise: string): string => {
    const value = env[name];
    return value !== undefined && on.isAbsolute(value) ? value : otherwise;
  };
  if (platform === "win32") {
    const config = on.join(from("APPDATA", on.join(homeDir, "AppData", "Roaming")), "Satchel");
    return { config, state: on.join(from("LOCALAPPDATA", on.join(homeDir, "AppData", "Local")), "Satchel", "state") };
  }
  if (platform === "darwin") {
    const config = on.join(homeDir, "Library", "Application Support", "Satchel");
    return { config, state: on.join(config, "state") };
  }
  return {
    config: on.join(from("XDG_CONFIG_HOME", on.join(homeDir, ".config")), "satchel"),
    state: on.join(from("XDG_STATE_HOME", on.join(homeDir, ".local", "state")), "satchel"),
  };
}
