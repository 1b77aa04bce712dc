/** A model of the unmodified Anki client's media sync (specification §7), weaknesses included: what the server must cure is what this does. */
import { hash } from "node:crypto";

import { buildUploadZip, readDownloadZip } from "../../protocol/anki/zip-messages.ts";
import { joinChunks } from "../../protocol/anki/zip.ts";

type LocalRow = { sha1: string | null; dirty: boolean };
/** One call to the server; rejects for any status but 200. `lost` in a test: the reply does not arrive. */
export type StockAsk = (route: string, payload: unknown, session: string) => Promise<Buffer>;
/** Told of what the engine does to a file of the user. */
export type StockHooks = { replaced(name: string, was: string, by: string): void; deleted(name: string, was: string): void };

/** A folder of Windows or macOS: names that differ in case alone are one file, under the name that came first. `has` asks its listing. */
export class FoldingFolder extends Map<string, Buffer> {
  private spelled(name: string): string {
    return [...this.keys()].find((one) => one.toLowerCase() === name.toLowerCase()) ?? name;
  }
  override get(name: string): Buffer | undefined {
    return super.get(this.spelled(name));
  }
  override set(name: string, bytes: Buffer): this {
    return super.set(this.spelled(name), bytes);
  }
  override delete(name: string): boolean {
    return super.delete(this.spelled(name));
  }
}

const FILES_PER_BATCH = 25;
const sha1Of = (bytes: Uint8Array): string => hash("sha1", bytes);

export class StockClient {
  readonly folder: Map<string, Buffer>;
  lastUsn = 0;
  wipes = 0;
  private rows = new Map<string, LocalRow>();
  private readonly ask: StockAsk;
  private readonly hooks: StockHooks;

  constructor(ask: StockAsk, hooks: StockHooks, folder: Map<string, Buffer> = new Map()) {
    this.ask = ask;
    this.hooks = hooks;
    this.folder = folder;
  }

  /** One sync. @throws Error when a call fails or the server said `mediaSanity`; state is then what a real client's would be. */
  async sync(session: string): Promise<void> {
    this.scan();
    const { usn } = await this.json<{ usn: number }>("msync/begin", { v: "anki,26.09.3 (x),linux" }, session);
    let did = false;
    if (this.lastUsn !== usn) {
      await this.fetch(session);
      did = true;
    }
    if ([...this.rows.values()].some(({ dirty }) => dirty)) {
      await this.send(session);
      did = true;
    }
    if (did) await this.finish(session);
  }

  private scan(): void {
    for (const [name, row] of this.rows) if (row.sha1 !== null && !this.folder.has(name)) this.rows.set(name, { sha1: null, dirty: true });
    for (const [name, bytes] of this.folder) {
      const sha1 = sha1Of(bytes);
      if (this.rows.get(name)?.sha1 !== sha1) this.rows.set(name, { sha1, dirty: true });
    }
  }

  private async fetch(session: string): Promise<void> {
    let cursor = this.lastUsn;
    for (;;) {
      const page = await this.json<[string, number, string][]>("msync/mediaChanges", { lastUsn: cursor }, session);
      const last = page.at(-1);
      if (last === undefined) return;
      cursor = last[1];
      await this.applyPage(page, session);
      // Committed once per page.
      this.lastUsn = cursor;
    }
  }

  private async applyPage(page: readonly [string, number, string][], session: string): Promise<void> {
    const toDownload: string[] = [];
    const toDelete: string[] = [];
    const clean: string[] = [];
    for (const [name, , remote] of page) {
      const row = this.rows.get(name);
      const local = row?.sha1 ?? "";
      if (remote === "" && local === "") {
        if (row !== undefined) toDelete.push(name);
      } else if (remote === "") {
        if (row?.dirty === false) toDelete.push(name);
      } else if (local === "" || local !== remote) toDownload.push(name);
      else if (row?.dirty === true) clean.push(name);
    }
    this.trash(toDelete);
    const received: string[] = [];
    while (toDownload.length > 0) {
      const asked = toDownload.slice(0, FILES_PER_BATCH);
      const files = readDownloadZip(await this.ask("msync/downloadFiles", { files: asked }, session), asked);
      for (const { name, bytes } of files) this.receive(name, Buffer.from(bytes));
      received.push(...toDownload.splice(0, files.length));
    }
    for (const name of clean) this.rows.set(name, { sha1: this.rows.get(name)?.sha1 ?? null, dirty: false });
    for (const name of toDelete) this.rows.delete(name);
    for (const name of received) this.rows.set(name, { sha1: sha1Of(this.folder.get(name) ?? Buffer.alloc(0)), dirty: false });
  }

  /** W4: stops at the first file that is missing already. */
  private trash(names: readonly string[]): void {
    for (const name of names) {
      const bytes = this.folder.get(name);
      if (bytes === undefined) return;
      this.hooks.deleted(name, sha1Of(bytes));
      this.folder.delete(name);
    }
  }

  private receive(name: string, bytes: Buffer): void {
    const was = this.folder.get(name);
    if (was !== undefined && !was.equals(bytes)) this.hooks.replaced(name, sha1Of(was), sha1Of(bytes));
    this.folder.set(name, bytes);
  }

  private async send(session: string): Promise<void> {
    for (;;) {
      const batch = [...this.rows].filter(([, { dirty }]) => dirty).slice(0, FILES_PER_BATCH);
      if (batch.length === 0) return;
      const entries = batch.map(([name, { sha1 }]) => ({ name, bytes: sha1 === null ? null : (this.folder.get(name) ?? null) }));
      const [processed, usn] = await this.json<[number, number]>("msync/uploadChanges", joinChunks(buildUploadZip(entries)), session);
      const taken = batch.slice(0, processed);
      for (const [name, { sha1 }] of taken) this.rows.set(name, { sha1, dirty: false });
      // The proof that nobody else wrote, airtight or not (W8).
      if (this.lastUsn + taken.length === usn) this.lastUsn = usn;
    }
  }

  private async finish(session: string): Promise<void> {
    const local = [...this.rows.values()].filter(({ sha1 }) => sha1 !== null).length;
    if ((await this.json<string>("msync/mediaSanity", { local }, session)) === "OK") return;
    this.rows = new Map();
    this.lastUsn = 0;
    this.wipes += 1;
    throw new Error("the server asks for a fresh start");
  }

  private async json<T>(route: string, payload: unknown, session: string): Promise<T> {
    const text = (await this.ask(route, payload, session)).toString("utf8");
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a wrong shape fails the test where it is used
    return (JSON.parse(text) as { data: T }).data;
  }
}
