/** Passwords come from standard input or from a person; never from an argument, which other users of the machine can read. */
import { Exit } from "./exit-codes.ts";
import { CliError, type Host } from "./host.ts";
import type { Tools } from "./tools.ts";

const PASSWORD_MAX_BYTES = 1024;

/** @throws CliError 2 where there is nobody to ask, or nothing was given */
export async function passwordOf(tools: Tools, prompt: string, fromStdin: boolean): Promise<string> {
  // A file that only the owner may read is as good as standard input; the variable names it or, where a platform insists, holds the secret.
  const given = fromStdin ? undefined : await tools.host.secret("SATCHEL_PASSWORD");
  if (given !== undefined && given !== "") return given;
  if (!fromStdin && !tools.io.input)
    throw new CliError(
      Exit.Usage,
      "There is nobody to ask for the password. Give it on standard input: printf %s PASSWORD | satchel … --password-stdin, or name a file: SATCHEL_PASSWORD_FILE=FILE",
    );
  const password = fromStdin ? await readAll(tools.host.stdin) : await ask(tools.host, prompt);
  if (password === "") throw new CliError(Exit.Usage, "No password was given.");
  return password;
}

/** One line end is the shell's, not the password's. */
async function readAll(stdin: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const piece = Buffer.from(chunk);
    bytes += piece.length;
    if (bytes > PASSWORD_MAX_BYTES) throw new CliError(Exit.Usage, `A password has at most ${PASSWORD_MAX_BYTES} bytes.`);
    chunks.push(piece);
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}

/** Without echo. Ctrl-C and Ctrl-D give up. */
async function ask(host: Host, prompt: string): Promise<string> {
  const { stdin, stderr } = host;
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  try {
    let typed = "";
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<Buffer>();
      stdin.once("data", resolve);
      for (const char of (await promise).toString("utf8")) {
        if (char === "\r" || char === "\n") return typed;
        if (char === "\u0003" || char === "\u0004") throw new CliError(Exit.Usage, "Nothing was done.");
        typed = char === "\u007F" || char === "\b" ? typed.replace(/.$/u, "") : typed + char;
      }
    }
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}
