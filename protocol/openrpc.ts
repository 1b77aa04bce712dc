import * as z from "zod";

import { progressNotice, requestProgress } from "./api/service.ts";
import { storedEvent } from "./api/model.ts";
import { METHODS } from "./api/table.ts";
import { ERROR_MEANING, ErrorCode } from "./errors.ts";
import { EVENT_KINDS } from "./events.ts";
import type { Method } from "./method.ts";
import { PROTOCOL_VERSION, VERSION } from "./version.ts";

/** Codes that any method may answer with. */
export const ALWAYS = [
  ErrorCode.InvalidParams,
  ErrorCode.InternalError,
  ErrorCode.RequestCancelled,
  ErrorCode.Forbidden,
  ErrorCode.Busy,
  ErrorCode.Stopping,
] as const;

/** A JSON Schema, as far as ours go. */
export type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
};
export type ContentDescriptor = {
  readonly name: string;
  readonly required: boolean;
  readonly description?: string;
  readonly schema: Schema;
};
export type MethodEntry = {
  readonly name: string;
  readonly description: string;
  readonly "x-scope": Method["scope"];
  readonly "x-source": string;
  readonly paramStructure: "by-name";
  readonly params: readonly ContentDescriptor[];
  readonly result: { readonly name: "result"; readonly schema: Schema };
  readonly errors: readonly { readonly code: ErrorCode; readonly message: string }[];
};
export type OpenRpcDocument = {
  readonly openrpc: string;
  readonly info: { readonly title: string; readonly version: string; readonly license: object; readonly description: string };
  readonly "x-protocol-version": number;
  readonly methods: readonly MethodEntry[];
  /** Sent by the service; parameters by name as well. */
  readonly "x-notifications": Readonly<Record<string, Schema>>;
  /** What `data` of an event of each kind holds. */
  readonly "x-event-kinds": Readonly<Record<string, Schema>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly errors: Readonly<Record<string, { readonly code: ErrorCode; readonly message: string }>>;
  };
};

/** The API as an OpenRPC 1.3.2 document, made from the table of methods: plain JSON. Shapes with a name stand once, in `components`. */
export function openRpcDocument(): OpenRpcDocument {
  const named: Record<string, Schema> = {};
  const methods = METHODS.map((one: Method) => methodEntry(one, named));
  const notifications = {
    event: jsonSchema(storedEvent, named),
    "sync/progress": jsonSchema(progressNotice, named),
    "$/progress": jsonSchema(requestProgress, named),
  };
  const kinds = Object.fromEntries(Object.entries(EVENT_KINDS).map(([kind, schema]) => [kind, jsonSchema(schema, named)]));
  return {
    openrpc: "1.3.2",
    info: {
      title: "Satchel service",
      version: VERSION,
      license: { name: "MIT" },
      description:
        "JSON-RPC 2.0 over WebSocket, one message per text frame, parameters by name. Notifications: `event`, `sync/progress`, `$/progress` (see x-notifications).",
    },
    "x-protocol-version": PROTOCOL_VERSION,
    methods,
    "x-notifications": notifications,
    "x-event-kinds": kinds,
    components: {
      schemas: Object.fromEntries(Object.entries(named).toSorted(([one], [other]) => (one < other ? -1 : 1))),
      errors: Object.fromEntries(Object.entries(ErrorCode).map(([name, code]) => [name, { code, message: ERROR_MEANING[code] }])),
    },
  };
}

function methodEntry(one: Method, named: Record<string, Schema>): MethodEntry {
  const { properties = {}, required = [] } = jsonSchema(one.params, named);
  const codes: readonly ErrorCode[] = [...one.errors, ...ALWAYS];
  return {
    name: one.name,
    description: one.doc,
    "x-scope": one.scope,
    "x-source": one.source,
    paramStructure: "by-name",
    params: Object.entries(properties).map(([name, schema]) => ({ name, required: required.includes(name), schema })),
    result: { name: "result", schema: jsonSchema(one.result, named) },
    errors: codes.map((code) => ({ code, message: ERROR_MEANING[code] })),
  };
}

/** What has a name goes into `named`, and a reference stands in its place. */
export function jsonSchema(schema: z.ZodType, named: Record<string, Schema>): Schema {
  // Draft 7 is what OpenRPC 1.3 says.
  const { $schema: _dialect, definitions = {}, ...rest } = z.toJSONSchema(schema, { io: "input", target: "draft-07" });
  for (const [name, shape] of Object.entries(Object(definitions))) named[name] = pointed(shape);
  return pointed(rest);
}

/** References as OpenRPC wants them. */
function pointed(shape: unknown): Schema {
  const text = JSON.stringify(shape, (key, value: unknown) =>
    key === "$ref" && typeof value === "string" ? value.replace("#/definitions/", "#/components/schemas/") : value,
  );
  const { id: _id, ...rest }: Schema & { id?: unknown } = JSON.parse(text);
  return rest;
}
