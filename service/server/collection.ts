/** `sync/*` as far as it is honest (specification §15.1): the collection is kept whole, and the user is asked which side holds. */
import { LIMITS } from "../../protocol/anki/limits.ts";
import type { Clock } from "../core/ports.ts";
import type { Account } from "./storage.ts";

/** Nobody has uploaded yet: both sides being new (mod 0) means that there is nothing to do. */
const NOTHING = { mod: 0, usn: 0, empty: true } as const;

export type MetaReply = {
  readonly mod: number;
  readonly scm: number;
  readonly usn: number;
  readonly ts: number;
  readonly msg: string;
  readonly cont: boolean;
  readonly hostNum: number;
  readonly empty: boolean;
  readonly media_usn: number;
};

/** What `sync/meta` tells. `legacy`: a client whose collection would have to be in an older schema, which can't be made here. */
export async function metaReply(account: Account, mediaUsn: number, legacy: boolean, clock: Clock): Promise<MetaReply> {
  const stored = await account.collection.current();
  const nowMs = clock.wallMs();
  const { mod, usn, empty } = stored ?? NOTHING;
  return {
    mod,
    // Unlike the client's whenever the collections differ: so it asks the user instead of trying the merge that is not offered here.
    scm: stored?.scm === nowMs ? nowMs + 1 : nowMs,
    usn,
    ts: Math.floor(nowMs / 1000),
    msg: legacy ? "This server keeps collections of Anki 2.1.57 and later. Media can be synced." : "",
    cont: !legacy,
    hostNum: 0,
    empty,
    media_usn: mediaUsn,
  };
}

/** Most that a collection may have, on the wire and inflated. `payloadMegs`: `MAX_SYNC_PAYLOAD_MEGS`, or null for the default. */
export function collectionLimits(payloadMegs: number | null): { readonly wireBytes: number; readonly bytes: number } {
  if (payloadMegs === null) return { wireBytes: LIMITS.collectionWireBytes, bytes: LIMITS.collectionBytes };
  return { wireBytes: payloadMegs * 1_048_576, bytes: payloadMegs * 3 * 1_048_576 };
}
