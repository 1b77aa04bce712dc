/** Exchanges a password for a device key. The password is in one request body and nowhere else. */
import { parseMessage } from "../../../protocol/anki/json.ts";
import { LIMITS } from "../../../protocol/anki/limits.ts";
import { ANKI } from "../../../protocol/anki/messages.ts";
import { RemoteError, type Compute, type Transport } from "../../core/ports.ts";
import { parseEndpoint } from "../endpoint.ts";
import { shortClientVersion, type ClientName } from "./client.ts";
import { StatusError } from "./reply-faults.ts";
import { openSession } from "./session.ts";
import { read } from "./wire.ts";

/** Anki's library waits this long at a login (specs §2.9). */
const STALL_MS = 30_000;

export type LoginOptions = { readonly url: string; readonly user: string; readonly password: string; readonly client: ClientName };
/** @throws RemoteError `auth` for a wrong name or password; others as every call. */
export async function login(
  options: LoginOptions,
  transport: Transport,
  compute: Compute,
  signal: AbortSignal,
): Promise<{ readonly key: string }> {
  const endpoint = parseEndpoint(options.url);
  if (options.user === "") throw new RemoteError("auth", `Could not log in to ${endpoint.shown}: no user name was given.`);
  // The session id only matters to collection syncs, so a login needs no chance for it.
  const random = { u32: () => 0 };
  const clientVersion = shortClientVersion(options.client);
  const session = openSession({ endpoint, key: "", clientVersion, transport, compute, random });
  const body = Buffer.from(JSON.stringify({ u: options.user, p: options.password }));
  const question = {
    path: "sync/hostKey",
    method: "POST",
    doing: "log in to",
    replyBytesMax: LIMITS.jsonBytes,
    stallMs: STALL_MS,
  } as const;
  try {
    const payload = await session.call(question, [body], signal);
    return read(session, question, () => parseMessage(ANKI.hostKey.reply, payload, "the answer of hostKey"));
  } catch (error) {
    throw withHint(error, endpoint.shown, endpoint.hint);
  }
}

/** The same refusal in the words of a login. */
function withHint(error: unknown, shown: string, hint: string | null): unknown {
  if (!(error instanceof StatusError)) return error;
  const retry = error.retryAfterMs === null ? {} : { retryAfterMs: error.retryAfterMs };
  if (error.status === 403) {
    return new RemoteError("auth", `Could not log in to ${shown}: the user name or the password is wrong.`, { cause: error, ...retry });
  }
  return hint === null ? error : new RemoteError(error.fault, `${error.message} ${hint}`, { cause: error, ...retry });
}
