/** Writes what follows from the API's tables: `protocol/openrpc.json`, `protocol/METHODS.md`, `protocol/schema-hashes.json`. `npm run -s contract`. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

import { methodsPage } from "./protocol/methods-page.ts";
import { openRpcDocument } from "./protocol/openrpc.ts";
import { schemaHash, schemaHashes, withHash } from "./protocol/schema-hash.ts";
import { PROTOCOL_VERSION } from "./protocol/version.ts";
import { EXIT_CODES } from "./service/cli/exit-codes.ts";

const directory = path.join(import.meta.dirname, "protocol");
const hashesFile = path.join(directory, "schema-hashes.json");

const document = openRpcDocument();
const known = schemaHashes.parse(JSON.parse(await readFile(hashesFile, "utf8")));
try {
  const hashes = withHash(known, PROTOCOL_VERSION, schemaHash(document));
  await writeFile(hashesFile, `${JSON.stringify(hashes, null, 2)}\n`);
  await writeFile(path.join(directory, "openrpc.json"), `${JSON.stringify(document, null, 2)}\n`);
  await writeFile(path.join(directory, "METHODS.md"), methodsPage(document, EXIT_CODES));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
