import * as z from "zod";

import { progressNotice } from "./api/service.ts";
import { storedEvent } from "./api/model.ts";
import { METHODS } from "./api/table.ts";
import { ERROR_MEANING, ErrorCode } from "./errors.ts";
import { EVENT_KINDS } from "./events.ts";
import type { Method } from "./method.ts";
import { PROTOCOL_VERSION, VERSION } from "./version.ts";

/** Codes that any method may answer with. */
const ALWAYS = [
  ErrorCode.InvalidParams,
  ErrorCode.InternalError,
  ErrorCode.RequestCancelled,
  ErrorCode.Forbidden,
  ErrorCode.Busy,
  ErrorCode.Stopping,
];

/** The API as an OpenRPC 1.3.2 document, made from the table of methods: plain JSON. */
export function openRpcDocument(): { readonly openrpc: string; readonly [key: string]: unknown } {
  return {
    openrpc: "1.3.2",
    info: {
      title: "Satchel service",
      version: VERSION,
      license: { name: "MIT" },
      description:
        "JSON-RPC 2.0 over WebSocket, one message per text frame, parameters by name. Notifications: `event`, `sync/progress` (see x-notifications).",
    },
    "x-protocol-version": PROTOCOL_VERSION,
    methods: METHODS.map((one: Method) => methodEntry(one)),
    "x-notifications": {
      event: jsonSchema(storedEvent),
      "sync/progress": jsonSchema(progressNotice),
    },
    "x-event-kinds": Object.fromEntries(Object.entries(EVENT_KINDS).map(([kind, schema]) => [kind, jsonSchema(schema)])),
    components: {
      errors: Object.fromEntries(Object.entries(ErrorCode).map(([name, code]) => [name, { code, message: ERROR_MEANING[code] }])),
    },
  };
}

function methodEntry(one: Method): Record<string, unknown> {
  const { properties = {}, required = [] } = jsonSchema(one.params);
  const codes = [...one.errors, ...ALWAYS];
  return {
    name: one.name,
    description: one.doc,
    "x-scope": one.scope,
    paramStructure: "by-name",
    params: Object.entries(properties).map(([name, schema]) => ({ name, required: required.includes(name), schema })),
    result: { name: "result", schema: jsonSchema(one.result) },
    errors: codes.map((code) => ({ code, message: ERROR_MEANING[code] })),
  };
}

function jsonSchema(schema: z.ZodType): { readonly properties?: Record<string, unknown>; readonly required?: readonly string[] } {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}
