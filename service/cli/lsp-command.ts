/** `satchel lsp --stdio`: lets any editor that speaks the language server protocol over stdin and stdout talk to the service. */
import type { Command } from "commander";

import type { Client } from "./client.ts";
import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { LspFrames, framed } from "./lsp-frames.ts";
import { ensureService } from "./running.ts";
import { reachService, type Tools } from "./tools.ts";

/** The service drops a connection that sends more in one message. */
const MESSAGE_MAX_BYTES = 1024 * 1024;

export function registerLsp(program: Command, tools: Tools): void {
  program
    .command("lsp")
    .description("the language server for notes, for any editor; starts the service where none runs")
    .requiredOption("--stdio", "talk over stdin and stdout")
    .action(tools.act(async () => await lsp(tools)));
}

async function lsp(tools: Tools): Promise<Exit> {
  await ensureService(tools, true);
  const client = await reachService(tools.host);
  if (client === null)
    throw new CliError(Exit.NoService, "The service ended just after it had started. Look with `satchel doctor`, then start it again.");
  return await bridge(tools, client);
}

/** Ends with the editor (stdin closes) or with the service; the editor starts us again then. */
async function bridge({ host }: Tools, client: Client): Promise<Exit> {
  const { stdin, stdout } = host;
  const frames = new LspFrames();
  let ended = false;
  client.onMessage((text) => {
    // The editor reads slowly: the service is not read either, and waits for us as for any slow reader.
    if (!stdout.write(framed(text))) {
      client.pause();
      stdout.once("drain", () => client.resume());
    }
  });
  stdin.on("data", (piece: Buffer) => {
    for (const text of frames.push(piece)) {
      if (Buffer.byteLength(text) <= MESSAGE_MAX_BYTES) client.send(text);
      else tooLarge(text, (answer) => stdout.write(framed(answer)));
    }
  });
  const left = new Promise<void>((resolve) => {
    stdin.once("end", () => resolve());
    stdin.once("close", () => resolve());
    frames.onBroken = resolve;
  });
  await Promise.race([left.then(() => (ended = true)), client.closed]);
  stdin.destroy();
  if (ended) await client.close();
  return ended || frames.exited ? Exit.InSync : Exit.NoService;
}

/** A note over 1 MiB: the editor is told, and the session goes on without it. */
function tooLarge(text: string, answer: (text: string) => void): void {
  const message: unknown = JSON.parse(text);
  const id = typeof message === "object" && message !== null && "id" in message ? message.id : undefined;
  const why = "This message is larger than 1 MiB, which the service does not take: the note is too large to be looked at.";
  const told =
    id === undefined ? { method: "window/logMessage", params: { type: 2, message: why } } : { id, error: { code: -32_600, message: why } };
  answer(JSON.stringify({ jsonrpc: "2.0", ...told }));
}
