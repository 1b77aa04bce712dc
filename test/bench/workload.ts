import { createCipheriv, hash } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import path from "node:path";

/** Files of one size, as PERFORMANCE names them; N1 is the one for slow networks. */
export const WORKLOADS = {
  W1: { files: 10_000, sizeBytes: 20_480 },
  W2: { files: 100_000, sizeBytes: 4096 },
  W3: { files: 200, sizeBytes: 5_242_880 },
  N1: { files: 2000, sizeBytes: 20_480 },
} as const;
export type Workload = keyof typeof WORKLOADS;

/** Bytes that don't compress and that no other file has: a key stream, the counter tells which file and which version. */
export function contentOf(file: number, sizeBytes: number, version = 0): Buffer {
  const counter = Buffer.alloc(16);
  counter.writeUInt32BE(version, 0);
  counter.writeUInt32BE(file, 4);
  return createCipheriv("aes-128-ctr", hash("md5", "satchel bench", "buffer"), counter).update(Buffer.alloc(sizeBytes));
}

/** Unique and in no order that would help anybody. */
function nameOf(file: number): string {
  return `${hash("sha1", String(file)).slice(0, 6)}-${String(file)}.jpg`;
}

/** Fills `folder` (made if absent) with the workload. */
export function makeWorkload(folder: string, workload: Workload): void {
  const { files, sizeBytes } = WORKLOADS[workload];
  mkdirSync(folder, { recursive: true });
  for (let file = 0; file < files; file++) {
    const handle = openSync(path.join(folder, nameOf(file)), "w");
    writeSync(handle, contentOf(file, sizeBytes));
    closeSync(handle);
  }
}
