import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createZstdDecompress } from "node:zlib";

import { LIMITS } from "../../protocol/anki/limits.ts";
import { WireError } from "../../protocol/anki/wire-error.ts";
import { Refusal } from "./exchange.ts";

/** The content of one zstd frame as it comes, for bodies too long to be held. @throws RangeError beyond `maxBytes`; WireError zstd when it is damaged. */
export async function* inflateStream(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const unpack = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: LIMITS.zstdWindowLog } });
  let sent = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      sent += chunk.length;
      yield chunk;
    }
  };
  const done = pipeline(Readable.from(counted()), unpack);
  // The reason is thrown by the loop below; here it only must not count as unhandled.
  done.catch(() => undefined);
  let bytes = 0;
  try {
    for await (const piece of unpack) {
      if (!(piece instanceof Uint8Array)) throw new TypeError("Decompressing a body: zlib gave something else than bytes.");
      bytes += piece.length;
      if (bytes > maxBytes) throw new RangeError(`Decompressing a body: its content has more than ${String(maxBytes)} bytes.`);
      yield piece;
    }
    await done;
  } catch (error) {
    if (error instanceof RangeError || error instanceof Refusal) throw error;
    throw new WireError("zstd", "Decompressing a body: it is damaged, or broke off.", { cause: error });
  } finally {
    unpack.destroy();
  }
  if (unpack.bytesWritten !== sent) throw new WireError("zstd", "Decompressing a body: bytes follow after the first frame.");
}
