/**
 * The files that must survive the database: settings, secrets, the device's identity, and how to reach the running service.
 * Unknown keys are kept, so that an older Satchel does not lose what a newer one wrote. Source: DESIGN §11 "Places and identity".
 */
import * as z from "zod";

import type { Schema } from "./openrpc.ts";

/** Raised when a file's meaning changes so that an older Satchel would misread it; that one then refuses it. */
export const FILES_VERSION = 1;

const version = z.literal(FILES_VERSION).default(FILES_VERSION);

/** Every setting, in the unit its name ends with. */
const settings = {
  tcp: z.boolean().describe("Listen on a loopback TCP port too, for scripts."),
  tcpPort: z.int().min(0).max(65_535).describe("Which one; 0: any free port."),
  allowedOrigins: z
    .array(z.string().regex(/^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/i, "must be an origin as browsers send it: scheme://host[:port], no path"))
    .describe("Origins of web pages that may use the API (with a token)."),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error"]).describe("The least that the log takes."),
  logLevels: z
    .string()
    .regex(/^(?:(?:service|engine|rpc)=(?:trace|debug|info|warn|error)(?:,|$))*$/, "must be like engine=debug,rpc=warn")
    .describe("Levels of single components: `service`, `engine`, `rpc`, as `engine=debug,rpc=warn`."),
  versionsMaxBytes: z.int().min(0).describe("Kept versions beyond this go, oldest first, but never before `versionsKeepDays`."),
  versionsKeepDays: z.int().min(30).describe("So long kept versions stay whatever their size. Never less than 30 (S21)."),
  fileMaxBytes: z
    .int()
    .min(1)
    .max(100 * 1024 ** 2)
    .describe("Larger files are problems, not synced. At most Anki's own limit of 100 MiB."),
  uploadsInFlightMax: z
    .int()
    .min(1)
    .max(16)
    .describe(
      "Requests at once that send or fetch files; a Satchel server gets no more uploads than it allows, and AnkiWeb gets one whatever this says.",
    ),
  freeMinBytes: z.int().min(0).describe("Syncing stops before the disk has less (or less than 1 %) free; 0: never."),
} as const;

const settingsSchema = z.looseObject(settings);
/** All settings, defaults filled in. */
export type Settings = z.infer<typeof settingsSchema>;

const DEFAULTS: { readonly [Key in keyof typeof settings]: Settings[Key] } = {
  tcp: true,
  tcpPort: 0,
  allowedOrigins: [],
  logLevel: "info",
  logLevels: "",
  versionsMaxBytes: 2 * 1024 ** 3,
  versionsKeepDays: 30,
  fileMaxBytes: 100 * 1024 ** 2,
  uploadsInFlightMax: 4,
  freeMinBytes: 500_000_000,
};

/** Lower-case hex or similar from our own random source; also a directory-safe name. */
const id = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

const folderSchema = z.looseObject({
  id: id.describe("Made by `satchel add`."),
  root: z.string().min(1).describe("Real path, absolute."),
  remote: z.string().min(1).nullable().default(null).describe("Remote id, or null while none is chosen."),
  policy: z.enum(["keep-both", "remote-wins", "local-wins"]).default("keep-both").describe("What happens when both sides changed a file."),
  paused: z.boolean().default(false).describe("True: no runs until it is resumed."),
});

const remoteSchema = z.looseObject({
  id: z.string().min(1).describe("`user@host[:port][/path]`, made by `satchel login`."),
  url: z.url({ protocol: /^https?$/ }).describe("Address of the server."),
  user: z.string().min(1).describe("Name of the account there."),
});

/** `config.json`. The settings stand as written: a default that changes later then reaches everybody who never chose. */
export const configSchema = z.looseObject({
  version,
  settings: z.looseObject(z.object(settings).partial().shape).default({}),
  folders: z.array(folderSchema).default([]),
  remotes: z.array(remoteSchema).default([]),
});
export type Config = z.infer<typeof configSchema>;

/** `secrets.json` (0600): what a remote gave for the password, by remote id. */
export const secretsSchema = z.looseObject({
  version,
  remotes: z.record(z.string(), z.looseObject({ key: z.string().min(1) })).default({}),
});
export type Secrets = z.infer<typeof secretsSchema>;

/** `tokens.json` (0600): tokens for scripts, by id. Only hashes: who reads the file can't connect with what it says. */
export const tokensSchema = z.looseObject({
  version,
  tokens: z
    .record(
      z.string().regex(/^[0-9a-f]{12}$/),
      z.looseObject({
        name: z.string().min(1),
        scope: z.enum(["read", "write", "admin"]),
        /** SHA-256 of the secret, hex. The secret is 256 random bits: there is nothing to guess, so no slow hash is needed. */
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
        createdAtMs: z.number(),
        lastUsedAtMs: z.number().nullable().default(null),
      }),
    )
    .default({}),
});
export type Tokens = z.infer<typeof tokensSchema>;

/** `device.json`: who this device is. */
export const deviceSchema = z.looseObject({
  version,
  id,
  /** Stands in conflict names. */
  name: z.string().regex(/^[a-z0-9-]{1,16}$/),
  /** SHA-256 of the machine's own id, hex; null where the system has none. Another one: the disk was cloned. */
  machine: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
});
export type Device = z.infer<typeof deviceSchema>;

/** `service.json` (0600, in the runtime directory): how to reach the running service. Written at start, removed at a clean stop. */
export const serviceSchema = z.looseObject({
  protocolVersion: z.int().min(1),
  /** Of the program. */
  version: z.string(),
  pid: z.int().min(1),
  /** Unix socket or named pipe. */
  socket: z.string().min(1),
  /** Loopback TCP port; null: none. */
  port: z.int().min(1).max(65_535).nullable(),
  /** The upgrade must show it. */
  token: z.string().min(32),
  /** The service proves itself with it (`service/hello`). */
  serviceKey: z.string().min(32),
  startedAtMs: z.number(),
});
export type ServiceFile = z.infer<typeof serviceSchema>;

/**
 * The settings in force: environment (`SATCHEL_TCP_PORT` for `tcpPort`, …) over file over default. Lists are comma-separated.
 * @throws SettingError naming the setting that has a bad value, and where it comes from
 */
export function settingsInForce(stored: Config["settings"], env: Readonly<Record<string, string | undefined>>): Settings {
  const merged: Record<string, unknown> = { ...DEFAULTS, ...stored };
  for (const key of Object.keys(settings)) {
    const text = env[variableOf(key)];
    if (text !== undefined && text !== "") merged[key] = valueOf(key, text);
  }
  const parsed = settingsSchema.safeParse(merged);
  if (parsed.success) return parsed.data;
  throw new SettingError(parsed.error, env);
}

/** Everything that can be set, for the page that lists it: plain JSON Schemas, defaults, names in the environment. */
export function settingsReference() {
  const shape = (schema: z.ZodType): Schema => JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io: "input", target: "draft-07" })));
  const keys: readonly (keyof typeof settings)[] = settingsSchema.keyof().options;
  return {
    settings: keys.map((key) => ({ key, variable: variableOf(key), schema: shape(settings[key]), value: DEFAULTS[key] })),
    files: [
      {
        key: "folders",
        says: "Kept by the service; change them with `satchel add` and `satchel remove`, not by hand.",
        schema: shape(folderSchema),
      },
      { key: "remotes", says: "Kept by the service; device keys are apart, in `secrets.json` (0600).", schema: shape(remoteSchema) },
    ],
  } as const;
}

/** A setting that can't be used, in words for people. */
class SettingError extends Error {
  constructor(error: z.ZodError, env: Readonly<Record<string, string | undefined>>) {
    const told = error.issues.map(({ path, message }) => {
      const key = String(path[0]);
      const variable = variableOf(key);
      return `${key} (${env[variable] === undefined || env[variable] === "" ? "config.json" : variable}): ${message}`;
    });
    super(`Could not use these settings: ${told.join("; ")}. Correct them, then start again.`, { cause: error });
    this.name = "SettingError";
  }
}

function variableOf(key: string): string {
  return `SATCHEL_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function valueOf(key: string, text: string): unknown {
  if (key === "allowedOrigins") return text.split(",").map((origin) => origin.trim());
  if (text === "true" || text === "false") return text === "true";
  return /^\d+$/.test(text) ? Number(text) : text;
}
