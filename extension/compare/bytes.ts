/** Bytes of files from the service, by hash. */
import { createHash } from "node:crypto";

import { ErrorCode } from "../../protocol/errors.ts";
import { RequestError, type Session } from "../session.ts";

/** Which bytes: kept ones, those that stand in the folder, or those that only the remote keeps of this path. */
export type Bytes = { readonly folder: string; readonly path: string; readonly sha1: string; readonly sizeBytes: number };

/** The most that one answer of the service holds. */
const SLICE_BYTES = 512 * 1024;
const AT_ONCE = 4;
/** Larger files are compared by what is known of them. */
export const SHOWN_BYTES_MAX = 64 * 1024 * 1024;

/** @throws RequestError when they are not there any more */
export async function readBytes(session: Session, { folder, path, sha1, sizeBytes }: Bytes): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(sizeBytes);
  const offsets = Array.from({ length: Math.ceil(sizeBytes / SLICE_BYTES) }, (_, at) => at * SLICE_BYTES);
  const read = async (offsetBytes: number): Promise<void> => {
    const { base64 } = await session.call("versions/read", { folder, path, sha1, offsetBytes, lengthBytes: SLICE_BYTES });
    whole.set(Buffer.from(base64, "base64"), offsetBytes);
  };
  const reader = async (): Promise<void> => {
    for (let offset = offsets.shift(); offset !== undefined; offset = offsets.shift()) await read(offset);
  };
  // The first slice alone: where only the remote has the bytes, it brings them here for the others.
  await Promise.all(offsets.splice(0, 1).map(read));
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  // A file may change between two slices; bytes that are not the ones asked for are not shown as if they were.
  if (createHash("sha1").update(whole).digest("hex") !== sha1)
    throw new RequestError(ErrorCode.ChangedMeanwhile, `${path} was changed while its bytes were read. Look at it again.`);
  return whole;
}

/** The first bytes, to see what they are. @throws RequestError */
export async function readHead(session: Session, { folder, path, sha1 }: Bytes, lengthBytes: number): Promise<Uint8Array> {
  const { base64 } = await session.call("versions/read", { folder, path, sha1, offsetBytes: 0, lengthBytes });
  return Buffer.from(base64, "base64");
}
