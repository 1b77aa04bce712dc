import type * as z from "zod";

import type { ErrorCode } from "./errors.ts";

/** What a token allows: `read` sees, `write` changes files and runs, `admin` also decides which folders, remotes and holds there are. */
export type Scope = "read" | "write" | "admin";

/** One method of the API. Parameters go by name only. */
export type Method<Name extends string = string, Params extends z.ZodType = z.ZodType, Result extends z.ZodType = z.ZodType> = {
  readonly name: Name;
  readonly params: Params;
  readonly result: Result;
  /** Own codes that it may answer with, beside JSON-RPC's five, `Forbidden`, `Busy` and `Stopping`. */
  readonly errors: readonly ErrorCode[];
  /** The least scope that may call it. */
  readonly scope: Scope;
  /** For people: what it does, units, what it waits for. */
  readonly doc: string;
  /** Where SPEC.md says what it relies on: its section, and the rule or heading in it. */
  readonly source: string;
};

/** Declares one method; its types are inferred from the schemas. */
export function method<const Name extends string, Params extends z.ZodType, Result extends z.ZodType>(
  name: Name,
  spec: Omit<Method<Name, Params, Result>, "name">,
): Method<Name, Params, Result> {
  return { name, ...spec };
}
