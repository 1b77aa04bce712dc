/** All methods, and the types that follow from them. */
import * as z from "zod";

import { method } from "../method.ts";
import { conflictsApi, guardApi } from "./conflicts.ts";
import { eventsApi } from "./events.ts";
import { filesApi, versionsApi } from "./files.ts";
import type { Frozen } from "./model.ts";
import { foldersApi } from "./folders.ts";
import { notesApi } from "./notes.ts";
import { remotesApi } from "./remotes.ts";
import { serviceApi } from "./service.ts";
import { syncApi } from "./sync.ts";
import { tokensApi } from "./tokens.ts";

const discover = method("rpc.discover", {
  params: z.strictObject({}),
  result: z.looseObject({ openrpc: z.string() }),
  errors: [],
  scope: "read",
  doc: "This API as an OpenRPC document.",
  source: "SPEC §5",
});

export const METHODS = [
  ...serviceApi,
  ...tokensApi,
  ...foldersApi,
  ...remotesApi,
  ...syncApi,
  ...filesApi,
  ...eventsApi,
  ...conflictsApi,
  ...versionsApi,
  ...guardApi,
  ...notesApi,
  discover,
] as const;

type ByName = { readonly [One in (typeof METHODS)[number] as One["name"]]: One };
export type MethodName = keyof ByName;
/** What a caller sends. */
export type ParamsOf<Name extends MethodName> = z.input<ByName[Name]["params"]>;
/** What a handler gets: parsed. */
export type ParsedOf<Name extends MethodName> = z.output<ByName[Name]["params"]>;
/** What comes back; handlers may answer with read-only data. */
export type ResultOf<Name extends MethodName> = Frozen<z.input<ByName[Name]["result"]>>;
