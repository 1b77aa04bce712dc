import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { remoteId } from "./model.ts";

export const remotesApi = [
  method("remotes/list", {
    params: z.strictObject({}),
    result: z.object({ remotes: z.array(z.object({ id: z.string(), url: z.string(), user: z.string(), signedIn: z.boolean() })) }),
    errors: [],
    scope: "read",
    doc: "Every remote that somebody has signed in to.",
    source: "SPEC §2 X3",
  }),
  method("remotes/login", {
    params: z.strictObject({
      url: z.string().min(1).max(2048).describe("http or https address of the server."),
      user: z.string().min(1).max(256),
      password: z.string().min(1).max(1024).describe("Used once, kept nowhere."),
    }),
    result: z.object({ remote: z.string() }),
    errors: [ErrorCode.Auth, ErrorCode.Unreachable, ErrorCode.NotOurServer, ErrorCode.BadPath, ErrorCode.Disk],
    scope: "admin",
    doc: "Exchanges the password for a device key, keeps the key (0600) and answers with the remote's id. Check `service/hello`'s proof before calling it.",
    source: "SPEC §2 X3",
  }),
  method("remotes/logout", {
    params: z.strictObject({ remote: remoteId }),
    result: z.object({}),
    errors: [ErrorCode.RemoteNotFound, ErrorCode.Disk],
    scope: "admin",
    doc: "Forgets the device key. Folders stay and wait for the next login.",
    source: "SPEC §2 X1",
  }),
  method("remotes/test", {
    params: z.strictObject({ remote: remoteId }),
    result: z.object({ ok: z.boolean(), kind: z.string(), detail: z.string(), roundTripMs: z.int() }),
    errors: [ErrorCode.NoRemote, ErrorCode.RemoteNotFound],
    scope: "write",
    doc: "One small request to the remote: does it answer, does it accept the key, how long does it take (ms).",
    source: "SPEC §4",
  }),
] as const;
