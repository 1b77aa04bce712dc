import { existsSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { chromium, type Browser } from "playwright-core";
import { orFailInGate } from "./optional.ts";

export const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** Why no page can be opened here, or false. */
export const noBrowser = orFailInGate(
  existsSync(CHROMIUM) ? false : `there is no browser at ${CHROMIUM}: apt-get install chromium, or set CHROMIUM`,
);

/** A real Chromium in which every name below `.example` is this machine. */
export async function openBrowser(): Promise<Browser> {
  return await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"] });
}

/** A site of one empty page, under any name that leads here. Returns its port. */
export async function openSite(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer((_request, response) =>
    response.setHeader("Content-Type", "text/html").end("<!doctype html><title>page</title>"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on TCP
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
