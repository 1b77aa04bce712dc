import { LIMITS } from "../../protocol/anki/limits.ts";

/** Whether bytes may be stored under this name: what no client can have on its disk is refused (specification §5.5). null: it may; else why not. */
export function nameFault(name: string): string | null {
  if (name === "" || name === "." || name === "..") return "it is no file name";
  if (!name.isWellFormed()) return "it is not valid Unicode";
  if (name.includes("/") || name.includes("\0")) return "it holds a character that no file name may hold";
  if (name.normalize("NFC") !== name) return "it is not in the normal form NFC";
  if (Buffer.byteLength(name) > LIMITS.nameBytesServer) return `it has more than ${String(LIMITS.nameBytesServer)} bytes`;
  if (name === CARRIER) return "the server uses it itself";
  return null;
}

/** Carries the top usn at the end of a page that would end below it: no client can have a file of this name (specification §15). */
export const CARRIER = ":usn";
