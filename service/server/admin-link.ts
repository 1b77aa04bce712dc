/** How the owner's commands reach a server that runs: one owner of the files at a time, so the running process does what they ask. */
import { hash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createServer, request, type IncomingMessage } from "node:http";
import path from "node:path";

import * as z from "zod";

import type { SecretRandom } from "../core/ports.ts";
import { readJson, writeJson } from "../files/json-file.ts";
import { AccountError } from "./accounts.ts";
import { ADMIN_CALLS, AdminError, type Admin, type AdminCall } from "./admin.ts";

const linkSchema = z.object({ version: z.literal(1), port: z.int(), token: z.string() });
const BODY_BYTES = 65_536;
const REPLY_BYTES = 64 * 1024 * 1024;

function linkFile(directory: string): string {
  return path.join(directory, "admin.json");
}

/** Listens on loopback and tells port and token in a file that only the owner of the directory can read. */
export async function openAdminLink(directory: string, admin: Admin, secrets: SecretRandom): Promise<{ close(): Promise<void> }> {
  const token = Buffer.from(secrets(32)).toString("base64url");
  const server = createServer((from, to) => {
    const reply = async (): Promise<void> => {
      const { status, body } = await answerOr500(from, token, admin);
      to.writeHead(status, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(body));
    };
    reply().catch(() => to.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Could not open the owner's link: no port was given to us.");
  const file = linkFile(directory);
  writeJson(file, { version: 1, port: address.port, token }, { secret: true });
  chmodSync(file, 0o600);
  return {
    close: async () => {
      rmSync(file, { force: true });
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

type Answer = { readonly status: number; readonly body: { readonly result?: unknown; readonly error?: string } };

async function answerOr500(from: IncomingMessage, token: string, admin: Admin): Promise<Answer> {
  try {
    return await answer(from, token, admin);
  } catch (error) {
    return { status: 500, body: { error: error instanceof Error ? error.message : String(error) } };
  }
}

async function answer(from: IncomingMessage, token: string, admin: Admin): Promise<Answer> {
  const given = hash("sha256", from.headers.authorization ?? "", "buffer");
  if (from.headers.origin !== undefined || !timingSafeEqual(given, hash("sha256", `Bearer ${token}`, "buffer")))
    return { status: 404, body: {} };
  const asked = z.object({ call: z.string(), params: z.unknown() }).parse(JSON.parse(await readText(from, BODY_BYTES)));
  if (!isAdminCall(asked.call))
    return { status: 400, body: { error: "There is no such call: the command and the server are of different versions." } };
  try {
    return { status: 200, body: { result: await perform(admin, asked.call, asked.params) } };
  } catch (error) {
    if (error instanceof AdminError || error instanceof AccountError) return { status: 409, body: { error: error.message } };
    throw error;
  }
}

function isAdminCall(name: string): name is AdminCall {
  return Object.hasOwn(ADMIN_CALLS, name);
}

async function perform(admin: Admin, call: AdminCall, params: unknown): Promise<unknown> {
  return await admin.call(call, ADMIN_CALLS[call].parse(params));
}

/** The link of the server that runs in this directory; null: none was left there. @throws SettingsError */
export function connectAdmin(directory: string): Admin | null {
  const link = readJson(linkFile(directory), linkSchema, { secret: true, version: 1 });
  if (link === null) return null;
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own server's answer to this call, over a link that only its owner can use
    call: async (call, params) => (await ask(link, call, params)) as never,
  };
}

async function ask(link: z.output<typeof linkSchema>, call: AdminCall, params: unknown): Promise<unknown> {
  const sent = request({ host: "127.0.0.1", port: link.port, method: "POST", headers: { authorization: `Bearer ${link.token}` } });
  sent.end(JSON.stringify({ call, params }));
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  sent.once("response", resolve);
  sent.once("error", reject);
  const reply = await promise;
  const body = z
    .object({ result: z.unknown().optional(), error: z.string().optional() })
    .parse(JSON.parse(await readText(reply, REPLY_BYTES)));
  if (reply.statusCode !== 200) throw new AdminError(body.error ?? `The server refused (${String(reply.statusCode)}).`);
  return body.result;
}

async function readText(from: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of from) {
    if (!(chunk instanceof Uint8Array)) continue;
    bytes += chunk.length;
    if (bytes > maxBytes) throw new AdminError("A message between command and server is too long.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
