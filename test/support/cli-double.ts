import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";

import type { ServiceFile } from "../../protocol/config.ts";
import { PROTOCOL_VERSION, VERSION } from "../../protocol/version.ts";
import type { Host, ServerCall } from "../../service/cli/host.ts";
import { runCli } from "../../service/cli/program.ts";
import type { FolderStatus } from "../../service/engine/facade.ts";
import { startRpc } from "../../service/rpc/server.ts";
import { EngineDouble } from "./engine-double.ts";
import { TOKEN } from "./rpc-peer.ts";
import { memoryTokens } from "./rpc-service.ts";

const KEY = "k".repeat(43);

export type Said = { readonly code: number; readonly stdout: string; readonly stderr: string };
export type Around = {
  readonly service?: Partial<ServiceFile> | null;
  /** No service runs until the command starts one. */
  readonly startsLater?: true;
  readonly stdin?: string;
  readonly cwd?: string;
  readonly tty?: boolean;
  readonly columns?: number;
  readonly env?: Record<string, string>;
  /** What this test needs of the machine; everything else refuses. */
  readonly host?: Partial<Host>;
};

/** The command line inside this process, over the real API of an engine double. */
export type CliDouble = {
  readonly directory: string;
  readonly engine: EngineDouble;
  /** As a service would write it: a command line in another process finds this API by it. */
  readonly file: ServiceFile;
  /** What was handed to the server's own files. */
  readonly handed: readonly (ServerCall & { readonly base: string | null })[];
  satchel(args: readonly string[], around?: Around): Promise<Said>;
  /** Runs `work` with these folders in the engine. */
  withFolders(rows: readonly FolderStatus[], work: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
};

export async function openCliDouble(): Promise<CliDouble> {
  const directory = await mkdtemp(path.join(tmpdir(), "satchel-cli-"));
  const engine = new EngineDouble();
  const handed: (ServerCall & { readonly base: string | null })[] = [];
  const rpc = await startRpc({
    socket: path.join(directory, "s.sock"),
    tcpPort: null,
    allowedOrigins: [],
    token: TOKEN,
    tokenFile: memoryTokens(),
    engine,
    self: {
      pid: process.pid,
      device: "laptop",
      session: "s",
      serviceKey: KEY,
      uptimeMs: () => 1,
      stop: () => undefined,
      metrics: async (connections) => await Promise.resolve(`satchel_connections ${connections}\n`),
      doctor: async () => await Promise.resolve([]),
    },
    log: () => undefined,
  });
  return {
    directory,
    engine,
    file: fileOf(directory),
    handed,
    satchel: async (args, around = {}) => {
      const written = { stdout: "", stderr: "" };
      const code = await runCli(args, hostOf({ directory, around, written, handed }));
      return { code, ...written };
    },
    withFolders: async (rows, work) => {
      const kept = engine.rows.splice(0, engine.rows.length, ...rows);
      try {
        await work();
      } finally {
        engine.rows.splice(0, engine.rows.length, ...kept);
      }
    },
    close: async () => {
      await rpc.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function fileOf(directory: string): ServiceFile {
  return {
    protocolVersion: PROTOCOL_VERSION,
    version: VERSION,
    pid: process.pid,
    socket: path.join(directory, "s.sock"),
    port: null,
    token: TOKEN,
    serviceKey: KEY,
    startedAtMs: 0,
  };
}

type Given = {
  readonly directory: string;
  readonly around: Around;
  readonly written: { stdout: string; stderr: string };
  readonly handed: (ServerCall & { readonly base: string | null })[];
};

function hostOf({ directory, around, written, handed }: Given): Host {
  const stream = (name: keyof typeof written): NodeJS.WriteStream => {
    const through = new PassThrough().setEncoding("utf8").on("data", (text: string) => (written[name] += text));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stream with the three terminal properties that the command line reads
    return Object.assign(through, { isTTY: around.tty ?? false, columns: around.columns ?? 80 }) as unknown as NodeJS.WriteStream;
  };
  const file: ServiceFile = { ...fileOf(directory), ...around.service };
  const unused = async (): Promise<never> => await Promise.reject(new Error("not in this test"));
  let runs = around.service !== null && around.startsLater !== true;
  const stdin = new PassThrough();
  stdin.end(around.stdin ?? "");
  return {
    env: around.env ?? {},
    cwd: around.cwd ?? "/media",
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- likewise
    stdin: Object.assign(stdin, { isTTY: false }) as unknown as NodeJS.ReadStream,
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    serviceFile: async () => await Promise.resolve(runs ? file : null),
    realPath: async (name) => await Promise.resolve(name),
    realDirectory: async (name) => await Promise.resolve(name),
    secret: async (name) => await Promise.resolve(around.env?.[name]),
    runService: unused,
    spawnService: () => {
      if (around.startsLater !== true) return { outcome: unused() };
      runs = true;
      return { outcome: Promise.resolve({ kind: "ready" }) };
    },
    processLives: () => false,
    autostart: async () => await Promise.resolve({ unit: null, write: () => undefined, remove: () => false, run: unused }),
    examine: async () => await Promise.resolve([]),
    support: unused,
    serverRun: unused,
    serverCall: async (base, call) => {
      handed.push({ base, ...call });
      return await Promise.resolve(call.name === "user/list" ? [{ name: "bob" }] : {});
    },
    ownServer: unused,
    ownServerUrl: () => null,
    interrupted: unused,
    ...around.host,
  };
}
