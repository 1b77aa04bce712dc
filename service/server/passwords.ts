/** Password hashes as PHC strings: scrypt for ours, PBKDF2 for those that an environment brings. */
import { pbkdf2, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

import type { SecretRandom } from "../core/ports.ts";

/** 276 ms and 128 MiB a guess (RELIABILITY §5.2). */
const SCRYPT = { logN: 17, blockSize: 8, parallel: 1 } as const;
const HASH_BYTES = 32;
const SALT_BYTES = 16;
/** A PBKDF2 string may not ask for more rounds than about 10 s of work. */
const ROUNDS_MAX = 10_000_000;

/** Slow on purpose; production uses `slowPasswords`, the simulator one that costs nothing. */
export interface Passwords {
  hash(password: string): Promise<string>;
  /** False also for a credential that is no hash of a known kind. */
  verify(password: string, credential: string): Promise<boolean>;
}

const pbkdf2Async = promisify(pbkdf2);

async function scryptAsync(password: string, salt: Uint8Array, logN: number, blockSize: number, parallel: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // Twice what scrypt needs: Node refuses the exact amount.
  const maxmem = 256 * blockSize * 2 ** logN;
  scrypt(password, salt, HASH_BYTES, { N: 2 ** logN, r: blockSize, p: parallel, maxmem }, (error, key) => {
    if (error === null) resolve(key);
    else reject(error);
  });
  return await promise;
}

/** Passwords are compared in NFC: keyboards differ in how they make an é (AU04). `logN` lower than the default is for tests. */
export function slowPasswords(secrets: SecretRandom, logN: number = SCRYPT.logN): Passwords {
  return {
    async hash(password) {
      const salt = secrets(SALT_BYTES);
      const hash = await scryptAsync(password.normalize("NFC"), salt, logN, SCRYPT.blockSize, SCRYPT.parallel);
      return `$scrypt$ln=${String(logN)},r=${String(SCRYPT.blockSize)},p=${String(SCRYPT.parallel)}$${base64(salt)}$${base64(hash)}`;
    },
    async verify(password, credential) {
      const known = parseCredential(credential);
      if (known === null) return false;
      const text = password.normalize("NFC");
      const hash =
        known.kind === "scrypt"
          ? await scryptAsync(text, known.salt, known.logN, known.blockSize, known.parallel)
          : await pbkdf2Async(text, known.salt, known.rounds, known.hash.length, known.digest);
      return hash.length === known.hash.length && timingSafeEqual(hash, known.hash);
    },
  };
}

/** Whether a string is a hash that `verify` can use. */
export function isCredential(text: string): boolean {
  return parseCredential(text) !== null;
}

type Credential = { readonly salt: Buffer; readonly hash: Buffer } & (
  | { readonly kind: "scrypt"; readonly logN: number; readonly blockSize: number; readonly parallel: number }
  | { readonly kind: "pbkdf2"; readonly rounds: number; readonly digest: "sha256" | "sha512" }
);

function parseCredential(text: string): Credential | null {
  const ours = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{8,86})\$([A-Za-z0-9+/]{43})$/.exec(text);
  if (ours !== null) {
    const [logN, blockSize, parallel] = [Number(ours[1]), Number(ours[2]), Number(ours[3])];
    if (logN < 1 || logN > 20 || blockSize < 1 || blockSize > 32 || parallel !== 1) return null;
    return { kind: "scrypt", logN, blockSize, parallel, salt: decode(ours[4]), hash: decode(ours[5]) };
  }
  const theirs = /^\$pbkdf2-(sha256|sha512)\$((?:[a-z]+=\d{1,9},?)*)\$([A-Za-z0-9+/]{8,86})\$([A-Za-z0-9+/]{16,172})$/.exec(text);
  if (theirs === null) return null;
  const rounds = Number(/(?:^|,)i=(\d+)/.exec(theirs[2] ?? "")?.[1] ?? "0");
  if (rounds < 1 || rounds > ROUNDS_MAX) return null;
  return { kind: "pbkdf2", rounds, digest: theirs[1] === "sha512" ? "sha512" : "sha256", salt: decode(theirs[3]), hash: decode(theirs[4]) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}
function decode(text: string | undefined): Buffer {
  return Buffer.from(text ?? "", "base64");
}
