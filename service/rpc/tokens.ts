/** Who a token is: the one of service.json, new at every start, and those that the user made for scripts. */
import { createHash, randomBytes } from "node:crypto";

import type { ResultOf } from "../../protocol/api/table.ts";
import type { Tokens } from "../../protocol/config.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Scope } from "../../protocol/method.ts";
import { RpcFailure } from "./failures.ts";
import { sameSecret } from "./gate.ts";

/** Whose connection it is. `tokenId` null: opened with the token of service.json. */
export type Identity = { readonly scope: Scope; readonly tokenId: string | null };

/** Where made tokens are kept: `tokens.json`. */
export type TokenFile = {
  /** @throws SettingsError */
  readonly load: () => Tokens;
  /** Durable when it returns. @throws SettingsError */
  readonly save: (tokens: Tokens) => void;
};

export type TokenBookOptions = {
  /** Of service.json: scope `admin`, valid until the service stops. */
  readonly startToken: string;
  readonly file: TokenFile;
  readonly nowMs: () => number;
  /** That the last use could not be noted keeps nobody out. */
  readonly report: (error: unknown) => void;
};

const TOKENS_MAX = 100;
const ID_BYTES = 6;
const SECRET_BYTES = 32;
/** The last use is noted at most this often: each note is a durable write. */
const USED_EVERY_MS = 3_600_000;
/** What an unknown id is compared with, so that it takes as long as a known one (X4). */
const NOBODY = createHash("sha256").update(randomBytes(SECRET_BYTES)).digest("hex");

export type TokenBook = ReturnType<typeof openTokenBook>;

/** Reads the file once; every change is durable before it is told. @throws SettingsError when the file can't be used */
export function openTokenBook({ startToken, file, nowMs, report }: TokenBookOptions) {
  let book = file.load();
  const save = (tokens: Tokens["tokens"]): void => {
    const next = { ...book, tokens };
    file.save(next);
    book = next;
  };
  const noteUse = (id: string): void => {
    const known = book.tokens[id];
    const now = nowMs();
    if (known === undefined || (known.lastUsedAtMs !== null && Math.abs(now - known.lastUsedAtMs) < USED_EVERY_MS)) return;
    try {
      save({ ...book.tokens, [id]: { ...known, lastUsedAtMs: now } });
    } catch (error) {
      report(error);
    }
  };
  return {
    /** null: it opens nothing. Time says nothing about how much of it was right. */
    authenticate(given: string): Identity | null {
      const isStart = sameSecret(given, startToken);
      const split = given.indexOf("_");
      const id = given.slice(0, Math.max(split, 0));
      const known = Object.hasOwn(book.tokens, id) ? book.tokens[id] : undefined;
      const isKnown = sameSecret(hashOf(given.slice(split + 1)), known?.sha256 ?? NOBODY);
      if (isStart) return { scope: "admin", tokenId: null };
      if (known === undefined || !isKnown) return null;
      noteUse(id);
      return { scope: known.scope, tokenId: id };
    },

    /** @throws RpcFailure Exists, TooMany; SettingsError */
    create(name: string, scope: Scope): ResultOf<"tokens/create"> {
      const all = Object.values(book.tokens);
      if (all.some((one) => one.name === name))
        throw new RpcFailure(ErrorCode.Exists, `There is a token named ${name} already. Choose another name, or revoke that one first.`);
      if (all.length >= TOKENS_MAX)
        throw new RpcFailure(ErrorCode.TooMany, `There are ${TOKENS_MAX} tokens already. Revoke those that nobody uses, then try again.`);
      const [id, secret] = [randomBytes(ID_BYTES).toString("hex"), randomBytes(SECRET_BYTES).toString("base64url")];
      const made = { name, scope, sha256: hashOf(secret), createdAtMs: nowMs(), lastUsedAtMs: null };
      save({ ...book.tokens, [id]: made });
      return { id, name, scope, createdAtMs: made.createdAtMs, lastUsedAtMs: null, token: `${id}_${secret}` };
    },

    list(): ResultOf<"tokens/list">["tokens"] {
      return Object.entries(book.tokens)
        .map(([id, { name, scope, createdAtMs, lastUsedAtMs }]) => ({ id, name, scope, createdAtMs, lastUsedAtMs }))
        .toSorted((one, other) => one.createdAtMs - other.createdAtMs || (one.id < other.id ? -1 : 1));
    },

    /** @throws RpcFailure TokenNotFound; SettingsError, and then it still is valid */
    revoke(id: string): void {
      if (!Object.hasOwn(book.tokens, id)) throw new RpcFailure(ErrorCode.TokenNotFound, `There is no token ${id}.`);
      const { [id]: _gone, ...others } = book.tokens;
      save(others);
    },
  };
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
