import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from "node:http";

import { freePort } from "./children.ts";

/** What happens to one request: waited for before it is forwarded, answered from here, or its reply thrown away. */
export type Rule = {
  /** Ends of the URL path that the rule is for, such as `msync/mediaSanity`. */
  readonly paths: readonly string[];
  /** Runs before the request is forwarded; the client waits. */
  readonly before?: () => Promise<void>;
  /** The server does its work, the client's connection is cut without a reply. */
  readonly dropReply?: boolean;
  /** The server is not asked. */
  readonly answer?: { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body: Uint8Array };
};

/** An HTTP proxy on loopback that a test can put between one device and its server. */
export type Proxy = {
  readonly url: string;
  /** Paths of all requests so far, in order of arrival. */
  readonly log: readonly string[];
  /** The next request that fits the rule meets it, once. Resolves when that has happened. */
  once(rule: Rule): Promise<void>;
  /** The same, for a request that may never come. */
  rule(rule: Rule): void;
  /** Forgets the rules that nobody has met. */
  clear(): void;
  /** Every request meets 503 until called with false. */
  refuse(on: boolean): void;
  /** Has the clients say that they run on this system (`windows`), in their `anki-sync` header. */
  pretend(system: string): void;
  close(): Promise<void>;
};

const gone = (response: ServerResponse) => () => response.destroy();

/** Starts a proxy before `target` (a base URL ending in `/`). */
export async function startProxy(target: string): Promise<Proxy> {
  const agent = new Agent(); // a fresh connection each time: none can be closed by the server in the instant of its reuse
  const log: string[] = [];
  const rules: { readonly rule: Rule; readonly met: () => void }[] = [];
  let refusing = false;
  let system: string | null = null;

  function headersOf({ headers }: IncomingMessage): IncomingMessage["headers"] {
    const header = headers["anki-sync"];
    if (system === null || typeof header !== "string") return headers;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the real client sends; another shape fails the test
    const told = JSON.parse(header) as { readonly c: string };
    return { ...headers, "anki-sync": JSON.stringify({ ...told, c: told.c.replace(/[^,]*$/, system) }) };
  }

  function forward(from: IncomingMessage, to: ServerResponse, dropReply: boolean): void {
    const url = new URL(from.url ?? "/", target);
    const onward = request(url, { method: from.method ?? "GET", headers: { ...headersOf(from), host: url.host }, agent });
    onward.on("response", (reply) => {
      if (dropReply) {
        reply.resume().on("end", gone(to));
        return;
      }
      to.writeHead(reply.statusCode ?? 502, reply.headers);
      to.flushHeaders();
      reply.on("error", gone(to)).pipe(to);
    });
    onward.on("error", gone(to));
    to.on("close", () => onward.destroy());
    from.on("error", () => onward.destroy()).pipe(onward);
  }

  async function handle(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const path = new URL(from.url ?? "/", target).pathname;
    log.push(path);
    if (refusing) {
      from.resume();
      to.writeHead(503).end("503");
      return;
    }
    const at = rules.findIndex(({ rule }) => rule.paths.some((end) => path.endsWith(end)));
    const found = at === -1 ? undefined : rules.splice(at, 1)[0];
    await found?.rule.before?.();
    if (found?.rule.answer === undefined) forward(from, to, found?.rule.dropReply ?? false);
    else {
      from.resume();
      to.writeHead(found.rule.answer.status, found.rule.answer.headers ?? {}).end(found.rule.answer.body);
    }
    found?.met();
  }

  const server = createServer((from, to) => {
    handle(from, to).catch((error: unknown) => {
      process.stderr.write(`proxy: ${String(error)}\n`);
      to.destroy();
    });
  });
  server.keepAliveTimeout = 0; // a client that comes back after a pause must not meet a connection that is just closing
  const port = await freePort();
  await new Promise<void>((resolve) => {
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${String(port)}/`,
    log,
    async once(rule) {
      return await new Promise((resolve) => {
        rules.push({ rule, met: resolve });
      });
    },
    rule(rule) {
      rules.push({ rule, met: () => undefined });
    },
    clear() {
      rules.length = 0;
    },
    refuse(on) {
      refusing = on;
    },
    pretend(name) {
      system = name;
    },
    async close() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
