import type { Sha1 } from "../core/model.ts";
import { StoreError } from "./errors.ts";

const SHA1 = /^[0-9a-f]{40}$/;

/** The last one that was found good: one file's hash goes into several tables, one after another. */
let known = "";

/** Checks before `unhex(?)`, which would make NULL ("absent") of anything odd. @throws StoreError other */
export function checkedSha1<T extends Sha1 | null>(sha1: T): T {
  if (sha1 === null || sha1 === known) return sha1;
  if (!SHA1.test(sha1)) throw new StoreError("other", `Could not store ${JSON.stringify(sha1)}: it is not a SHA-1.`);
  known = sha1;
  return sha1;
}
