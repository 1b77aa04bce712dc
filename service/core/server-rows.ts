/** What the sync server keeps of an account, as plain data: the words that its storage, its database and its packs of bytes share. */
import type { Sha1 } from "./model.ts";

/** One name of an account with the number of its latest change. `sha1` null: a tombstone, of size 0. */
export type Row = { readonly name: string; readonly usn: number; readonly sha1: Sha1 | null; readonly sizeBytes: number };

/** `top`: the highest usn given. `live`: rows with bytes. */
export type AccountState = {
  readonly top: number;
  readonly live: number;
  readonly liveBytes: number;
  /** Changes when the data went back in time. */
  readonly epoch: string;
  /** Rises with each new epoch; `restoredTop`: the highest usn at that moment. */
  readonly generation: number;
  readonly restoredTop: number;
};

/** One entry of an upload that takes a usn. `sha1` null: a deletion. `real` false: the row stays as it is. */
export type Entry = {
  readonly usn: number;
  readonly name: string;
  readonly sha1: Sha1 | null;
  readonly sizeBytes: number;
  readonly real: boolean;
};
/** A row that got another number without a change of its own. */
export type Renumbered = { readonly name: string; readonly from: number; readonly to: number };
/** Who sent it: the id of a device key, and the session of the header. */
export type Sender = { readonly device: string; readonly session: string };
/** An upload: the device key that sent it, and when it came (milliseconds since 1970). */
export type Sent = { readonly device: string; readonly atMs: number };
/** One line of the log: what stood before and after. */
export type Logged = Sender & { readonly usn: number; readonly name: string; readonly live: boolean; readonly wasLive: boolean };

export type KeptVersion = {
  readonly name: string;
  readonly sha1: Sha1;
  readonly sizeBytes: number;
  /** Milliseconds since 1970 when the bytes stopped being current. */
  readonly atMs: number;
  readonly why: "replaced" | "deleted";
};

/** A whole collection as it was uploaded. Times are milliseconds since 1970, as the file says. */
export type CollectionVersion = {
  readonly id: number;
  readonly sizeBytes: number;
  readonly mod: number;
  readonly scm: number;
  readonly usn: number;
  readonly empty: boolean;
  readonly storedAtMs: number;
};

/** Where bytes stand: `start` is their offset in the pack. */
export type Place = { readonly sha1: Sha1; readonly sizeBytes: number; readonly pack: number; readonly start: number };

export type AccountRecord = {
  readonly id: string;
  readonly name: string;
  /** Who made it: the command, or the environment (there again at every start). */
  readonly origin: "command" | "environment";
  /** PHC string of the password's hash; null: nobody can log in. */
  readonly credential: string | null;
  readonly disabled: boolean;
  readonly createdMs: number;
};
export type DeviceKey = {
  readonly id: string;
  readonly account: string;
  /** SHA-256 of the secret half, hex. */
  readonly digest: string;
  /** What the client called itself at its login. */
  readonly client: string;
  readonly createdMs: number;
  readonly usedMs: number;
};
