/** What the command line needs of the machine; `service/main.ts` hands it in. */
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
  /** Runs the service here until it is stopped. */
  runService(options: ServiceOptions): Promise<Exit>;
  /** Starts one detached, in its own session. */
  spawnService(options: { readonly tcp: boolean }): Starting;
  processLives(pid: number): boolean;
  /** Runs `server` commands: these do not go through the service. Resolves with the exit code. */
  server(command: ServerCommand, io: ServerIo): Promise<Exit>;
  /** Starts our own server as a child on loopback, making its account at the first time; it ends with us. */
  ownServer(): Promise<{ readonly server: OwnServer; stop(): Promise<void> }>;
  /** Where it answered when it last ran; null: it was never made. */
  ownServerUrl(): Promise<string | null>;
  /** Resolves at SIGINT or SIGTERM. */
  interrupted(): Promise<void>;
}

export type ServerIo = { readonly json: boolean; result(text: string): void; data(value: unknown): void; note(text: string): void };
export type ServerCommand =
  | { readonly verb: "run"; readonly options: Readonly<Record<string, string | boolean>> }
  | { readonly verb: "check"; readonly base: string | null }
  | { readonly verb: "user"; readonly action: "list"; readonly base: string | null }
  | {
      readonly verb: "user";
      readonly action: "add" | "password";
      readonly name: string;
      readonly password: string;
      readonly base: string | null;
    }
  | { readonly verb: "user"; readonly action: "remove" | "keys"; readonly name: string; readonly base: string | null }
  | { readonly verb: "user"; readonly action: "revoke"; readonly name: string; readonly key: string | null; readonly base: string | null }
  | { readonly verb: "versions"; readonly name: string; readonly path: string | null; readonly base: string | null }
  | {
      readonly verb: "restore";
      readonly name: string;
      readonly path: string;
      readonly sha1: string | null;
      readonly base: string | null;
    };
