/** What the command line needs of the machine; `service/main.ts` hands it in. */
import type { ResultOf } from "../../protocol/api/table.ts";
import type { ServiceFile } from "../../protocol/config.ts";
import type { Exit } from "./exit-codes.ts";

/** A command can't go on. `exit` is for the shell, the message for people: what was attempted, why it failed, what to do next. */
export class CliError extends Error {
  readonly exit: Exit;
  constructor(exit: Exit, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.exit = exit;
  }
}

/** By shape: the sync server's bundle has a class of this name too. */
export function isCliError(error: unknown): error is CliError {
  return error instanceof Error && error.name === "CliError" && "exit" in error;
}

export type ServiceOptions = {
  readonly tcp: boolean;
  /** Logs go to the log file instead of stderr. */
  readonly background: boolean;
};

/** A service being started in the background. */
export type Starting = {
  /** `ready`: it answers. `ended`: it ended before, with what it said. */
  readonly outcome: Promise<{ readonly kind: "ready" } | { readonly kind: "ended"; readonly code: number | null; readonly said: string }>;
};

/** The server that `satchel start` runs for somebody who has none. */
export type OwnServer = { readonly url: string; readonly user: string; readonly passwordFile: string; readonly password: string };

/** How the service starts with the user's session (`service/files/autostart.ts`). */
export type Autostart = {
  readonly kind: "systemd" | "launchd" | "schtasks";
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly reload: readonly (readonly [program: string, ...args: string[]])[];
  readonly enable: Autostart["reload"];
  readonly disable: Autostart["reload"];
  readonly hint: string | null;
};
export type AutostartPort = {
  /** null: this platform has none that we know. */
  readonly unit: Autostart | null;
  write(unit: Autostart): void;
  /** false: there was none. */
  remove(unit: Autostart): boolean;
  /** Runs a command of the system to its end. `code` null: it could not be started. */
  run(command: readonly [program: string, ...args: string[]]): Promise<{ readonly code: number | null; readonly said: string }>;
};

/** What a support bundle is made of beside the service's own answers (`service/files/support.ts`). */
export type SupportPort = {
  readonly facts: {
    readonly log: readonly string[];
    readonly config: unknown;
    readonly trouble: readonly string[];
    readonly secrets: readonly string[];
  };
  readonly known: {
    /** Roots. */
    readonly folders: readonly string[];
    readonly remotes: readonly { readonly id: string; readonly url: string; readonly user: string }[];
  };
  readonly homeDir: string;
  readonly userName: string;
  readonly hostName: string;
  readonly device: string;
  /** @throws SettingsError */
  write(file: string, text: string): void;
};

export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths on the command line are relative to. */
  readonly cwd: string;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** null: none is there. @throws Error with a message for people */
  serviceFile(): Promise<ServiceFile | null>;
  /** Symlinks resolved; where the last parts do not exist, as far as they do. */
  realPath(path: string): Promise<string>;
  /** Symlinks resolved; null: no directory that can be read stands there. */
  realDirectory(path: string): Promise<string | null>;
  /** A secret from the environment, or from the file that `NAME_FILE` names; undefined: neither. @throws Error with a message for people */
  secret(name: string): Promise<string | undefined>;
  /** Runs the service here until it is stopped. */
  runService(options: ServiceOptions): Promise<Exit>;
  /** Starts one detached, in its own session. */
  spawnService(options: { readonly tcp: boolean }): Starting;
  processLives(pid: number): boolean;
  autostart(): Promise<AutostartPort>;
  /** What `doctor` can tell while no service runs. `why`: what answers in its place; null: nobody. */
  examine(why: string | null): Promise<ResultOf<"service/doctor">["checks"]>;
  support(): Promise<SupportPort>;
  /** Serves until SIGINT or SIGTERM; `listening` is told the URL. @throws Error with a message for people */
  serverRun(options: ServerRunOptions, listening: (url: string) => void): Promise<void>;
  /** The owner's commands: by the server that runs in `base`, or on its files where none does. `base` null: SYNC_BASE. */
  serverCall(base: string | null, call: ServerCall): Promise<unknown>;
  /** Starts our own server as a child on loopback, making its account at the first time; it ends with us. @throws CliError */
  ownServer(): Promise<{ readonly server: OwnServer; stop(): Promise<void> }>;
  /** Where it answers when it runs; null: it was never made. */
  ownServerUrl(): string | null;
  /** Resolves at SIGINT or SIGTERM. */
  interrupted(): Promise<void>;
}

/** null: what the environment says. */
export type ServerRunOptions = {
  readonly base: string | null;
  readonly host: string | null;
  readonly port: number | null;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly behindProxy: boolean;
  readonly insecureHttp: boolean;
  readonly legacy: boolean;
};
export type ServerCall =
  | { readonly name: "user/list"; readonly params: Record<string, never> }
  | { readonly name: "user/add" | "user/password"; readonly params: { readonly name: string; readonly password: string } }
  | { readonly name: "user/remove" | "user/keys"; readonly params: { readonly name: string } }
  | { readonly name: "user/revoke"; readonly params: { readonly name: string; readonly key: string | null } }
  | { readonly name: "versions"; readonly params: { readonly name: string; readonly path: string | null } }
  | { readonly name: "restore"; readonly params: { readonly name: string; readonly path: string; readonly sha1: string | null } }
  | { readonly name: "check" | "epoch/renew"; readonly params: { readonly name: string | null } };
