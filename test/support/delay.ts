import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Above this much under way in one direction the sender is held back, as a full pipe would. */
const PIPE_BYTES = 8 << 20;

/** Passes on what `from` says so much later, in order; the end and the loss of the connection too. */
function carry(from: Socket, to: Socket, delayMs: number): void {
  let underWay = 0;
  from.on("data", (chunk) => {
    underWay += chunk.length;
    if (underWay > PIPE_BYTES) from.pause();
    setTimeout(() => {
      underWay -= chunk.length;
      if (from.isPaused() && underWay < PIPE_BYTES / 2) from.resume();
      if (to.writable) to.write(chunk);
    }, delayMs);
  });
  from.on("end", () => setTimeout(() => to.end(), delayMs));
  from.on("close", () => setTimeout(() => to.destroy(), delayMs + 10));
  from.on("error", () => undefined); // `close` follows and tells the other side
}

/** Puts `roundTripMs` of network between a client and the server on `targetPort` (both on loopback). Connecting costs one round trip more. */
export async function startDelay(targetPort: number, roundTripMs: number): Promise<{ readonly port: number; close(): Promise<void> }> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("close", () => open.delete(socket));
    }
    carry(near, far, roundTripMs / 2);
    carry(far, near, roundTripMs / 2);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return {
    port: address.port,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
