/** Bytes of files from the service, by hash. */
import type { Session } from "../session.ts";

/** Which bytes: kept ones, or those that stand in the folder. */
export type Bytes = { readonly folder: string; readonly sha1: string; readonly sizeBytes: number };

/** The most that one answer of the service holds. */
const SLICE_BYTES = 512 * 1024;
const AT_ONCE = 4;
/** Larger files are compared by what is known of them. */
export const SHOWN_BYTES_MAX = 64 * 1024 * 1024;

/** @throws RequestError when they are not there any more */
export async function readBytes(session: Session, { folder, sha1, sizeBytes }: Bytes): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(sizeBytes);
  let next = 0;
  const reader = async (): Promise<void> => {
    while (next < sizeBytes) {
      const offsetBytes = next;
      next += SLICE_BYTES;
      const { base64 } = await session.call("versions/read", { folder, sha1, offsetBytes, lengthBytes: SLICE_BYTES });
      whole.set(Buffer.from(base64, "base64"), offsetBytes);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  return whole;
}

/** The first bytes, to see what they are. @throws RequestError */
export async function readHead(session: Session, { folder, sha1 }: Bytes, lengthBytes: number): Promise<Uint8Array> {
  const { base64 } = await session.call("versions/read", { folder, sha1, offsetBytes: 0, lengthBytes });
  return Buffer.from(base64, "base64");
}
