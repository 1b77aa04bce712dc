/** A device with an unmodified Anki client beside ours: its own decision rules, its weaknesses included (specs W1–W32; S1′). */
import { parseEnvelope } from "../../protocol/anki/messages.ts";
import { ANKI } from "../../protocol/anki/messages.ts";
import { readUploadZip } from "../../protocol/anki/zip-messages.ts";
import { fromWire, toWire } from "../../service/core/wire-names.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { parseEndpoint } from "../../service/remotes/endpoint.ts";
import { openSession, type Session } from "../../service/remotes/anki/session.ts";
import type { Transport } from "../../service/core/ports.ts";
import { StockClient } from "../support/stock-client.ts";
import { sha1Of, type Ledger } from "./ledger.ts";
import { short, type Oracles } from "./oracles.ts";
import type { Rng } from "./rng.ts";
import type { Scheduler } from "./scheduler.ts";

const VERSION = "anki,26.09.3 (x),linux";
const REPLY_BYTES_MAX = 200 * 1024 * 1024;
const STALL_MS = 30_000;

/** How it reaches the server. */
export type StockLine = { readonly url: string; readonly key: () => string; readonly transport: Transport };

export type StockGiven = {
  readonly name: string;
  readonly line: StockLine;
  readonly scheduler: Scheduler;
  readonly ledger: Ledger;
  readonly oracles: Oracles;
  readonly rng: Rng;
  /** Names that its user may use; those that Anki would not take as they are, are left out. */
  readonly paths: readonly string[];
  readonly deletes: boolean;
  /** The server has said 200 to these bytes (S1′). */
  readonly acknowledged: (sha1: string) => void;
  /** Own bytes that come back are a violation; else they are only noted, as others may have brought them back. */
  readonly judgesEchoes: boolean;
  /** The server was put back to a backup: what it said before no longer holds. */
  readonly restored: () => boolean;
};

export class StockDevice {
  readonly name: string;
  readonly #given: StockGiven;
  readonly #client: StockClient;
  readonly #names: readonly string[];
  /** What its user wrote under each name, oldest first. */
  readonly #wrote = new Map<string, string[]>();
  #session: Session | null = null;
  #syncing = false;
  #sessions = 0;
  #made = 0;

  constructor(given: StockGiven) {
    this.#given = given;
    this.name = given.name;
    this.#names = given.paths.filter((path) => {
      const wire = toWire(path);
      return wire.kind === "name" && wire.name === path;
    });
    this.#client = new StockClient(async (route, payload) => await this.#ask(route, payload), {
      replaced: (name, was, by) => this.#onReplaced(name, was, by),
      deleted: () => undefined,
    });
  }

  /** Wire name → SHA-1 of what stands in its media folder. */
  files(): ReadonlyMap<string, string> {
    return new Map([...this.#client.folder].map(([name, bytes]) => [name, sha1Of(bytes)]));
  }

  get syncing(): boolean {
    return this.#syncing;
  }

  /** One thing that its user does: a file is saved or deleted. */
  act(): void {
    const { rng, ledger, scheduler, deletes } = this.#given;
    if (this.#names.length === 0) return;
    const name = rng.pick(this.#names);
    const { folder } = this.#client;
    const before = folder.get(name);
    // Nothing is promised at this path from now on but what the server has acknowledged: the client asks nobody before it overwrites.
    ledger.loosen(name);
    // A deletion between scan and upload makes this client miscount by itself (W15): no server can tell.
    if (deletes && before !== undefined && !this.#syncing && rng.chance(0.25)) {
      folder.delete(name);
      ledger.removed(this.name, name, sha1Of(before), true);
      scheduler.note(`stock@${this.name} deletes ${name}`);
      return;
    }
    this.#made += 1;
    const bytes = Buffer.from(`${this.name}#${this.#made} ${name} by a stock client`);
    folder.set(name, bytes);
    ledger.wrote(this.name, name, before === undefined ? null : sha1Of(before), bytes);
    this.#wrote.set(name, [...(this.#wrote.get(name) ?? []), sha1Of(bytes)]);
    scheduler.note(`stock@${this.name} writes ${name} (${short(sha1Of(bytes))})`);
  }

  /** One sync; false: it failed, as it shows to its user. */
  async sync(): Promise<boolean> {
    if (this.#syncing) return false;
    this.#syncing = true;
    this.#sessions += 1;
    const { line, rng } = this.#given;
    const { url, key, transport } = line;
    const endpoint = parseEndpoint(url);
    this.#session = openSession({ endpoint, key: key(), clientVersion: VERSION, transport, compute: syncCompute, random: rng });
    try {
      await this.#client.sync(`s${this.#sessions}`);
      return true;
    } catch (error) {
      this.#given.scheduler.note(`stock@${this.name} sync failed: ${error instanceof Error ? error.message.slice(0, 80) : String(error)}`);
      return false;
    } finally {
      this.#syncing = false;
    }
  }

  async #ask(route: string, payload: unknown): Promise<Buffer> {
    const session = this.#session;
    if (session === null) throw new Error("a stock client asks within a sync");
    const body = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload));
    const question = { path: route, method: "POST", doing: `ask ${route} of`, replyBytesMax: REPLY_BYTES_MAX, stallMs: STALL_MS } as const;
    const before = this.#given.restored();
    if (payload instanceof Uint8Array) this.#loosenSent(payload);
    const reply = Buffer.from(await session.call(question, [body], AbortSignal.any([])));
    if (payload instanceof Uint8Array && before === this.#given.restored()) this.#acknowledge(payload, reply);
    return reply;
  }

  /**
   * It sends more than its user made: what a session that broke off had fetched counts as its own file afterwards, and so a file that
   * others deleted meanwhile comes back.
   */
  #loosenSent(sent: Uint8Array): void {
    for (const { name } of readUploadZip(sent)) {
      const decoded = fromWire(name);
      this.#given.ledger.loosen(decoded.kind === "path" ? decoded.path : name);
    }
  }

  /** S1′: what the server says that it has processed, it has. */
  #acknowledge(sent: Uint8Array, reply: Buffer): void {
    const { processed } = parseEnvelope(ANKI.uploadChanges.reply, reply, "the answer of uploadChanges");
    for (const { bytes } of readUploadZip(sent).slice(0, processed)) if (bytes !== null) this.#given.acknowledged(sha1Of(bytes));
  }

  /** W31: its user's newer bytes give way to older ones of the same user, and nobody else was involved. */
  #onReplaced(name: string, was: string, by: string): void {
    const own = this.#wrote.get(name) ?? [];
    if (!own.includes(by) || own.indexOf(by) >= own.lastIndexOf(was)) return;
    if (!this.#given.judgesEchoes) this.#given.scheduler.note(`stock@${this.name} meets its own echo at ${name}`);
    else
      this.#given.oracles.fail(
        "S1",
        `${this.name}: the echo of an own upload (${short(by)}) overwrote the newer ${short(was)} at ${name} (W31)`,
      );
  }
}
