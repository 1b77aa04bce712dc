/** A remote in memory with the semantics of a Satchel server (or, `stock`, of the official Anki server: last writer wins). */
import type { Author, Download, FeedPage, OnBytes, Remote, RemoteVersion, Upload, UploadResult } from "../../service/core/ports.ts";
import { RemoteError } from "../../service/core/ports.ts";
import { sha1 } from "./memory-folder.ts";

type Row = { sha1: string | null; usn: number; bytes: Uint8Array | null; author?: Author };

/** One account that several remotes share. */
export class MemoryAccount {
  readonly rows = new Map<string, Row>();
  /** What was replaced or removed, newest first; offered where a test says `can.versions`. */
  readonly kept = new Map<string, (RemoteVersion & { readonly bytes: Uint8Array })[]>();
  usn = 0;
  serverId: string | null = "server-1";
  epoch: string | null = "epoch-1";

  /** `author`: who sent or deleted it and when, where this account's server tells. */
  put(name: string, bytes: Uint8Array | null, author?: Author): void {
    this.usn += 1;
    const before = this.rows.get(name)?.bytes ?? null;
    if (before !== null) {
      const why = bytes === null ? "removed" : "replaced";
      const version = { sha1: sha1(before), sizeBytes: before.length, atMs: this.usn, why, bytes: before } as const;
      this.kept.set(name, [version, ...(this.kept.get(name) ?? [])]);
    }
    this.rows.set(name, { sha1: bytes === null ? null : sha1(bytes), usn: this.usn, bytes, ...(author === undefined ? {} : { author }) });
  }

  text(name: string): string | null {
    const bytes = this.rows.get(name)?.bytes ?? null;
    return bytes === null ? null : Buffer.from(bytes).toString();
  }

  /** A backup: put back later with `restore`. */
  backup(): { readonly rows: Map<string, Row>; readonly usn: number } {
    return { rows: new Map(this.rows), usn: this.usn };
  }

  restore(backup: { readonly rows: Map<string, Row>; readonly usn: number }): void {
    this.rows.clear();
    for (const [name, row] of backup.rows) this.rows.set(name, row);
    this.usn = backup.usn;
  }
}

export type MemoryRemote = Remote & {
  readonly calls: string[];
  /** Throws or changes the account before (or after) a named call; a test sets it. */
  before: (call: string) => void;
  after: (call: string) => void;
  /** Between the question who answers and what is asked next. */
  afterState: () => void;
};

/** A file moves in two pieces, and something of its own goes with it on the wire. */
function inHalves(bytes: number, onBytes: OnBytes | undefined): void {
  onBytes?.(bytes >> 1);
  onBytes?.(bytes - (bytes >> 1) + 7);
}

export function memoryRemote(account: MemoryAccount, options: { readonly stock?: boolean } = {}): MemoryRemote {
  const stock = options.stock === true;
  /** What `state` read of the feed in the same moment, as our server does. */
  let early: { readonly position: string; readonly rows: ReturnType<typeof rowsAfter> } | null = null;
  let met: string | null = null;
  const remote: MemoryRemote = {
    kind: "memory",
    can: { conditionalUpload: !stock, changeStream: false, versions: false },
    limits: {
      uploadEntries: 25,
      uploadBytes: 1 << 20,
      uploadsInFlight: 2,
      lineBytes: null,
      fileBytes: 100 << 20,
      pushEveryMs: 0,
      pollEveryMs: 60_000,
    },
    calls: [],
    before: () => {},
    after: () => {},
    afterState: () => {},
    state: async (_signal, ahead) => {
      step("state");
      met = account.epoch;
      early = stock || ahead === undefined ? null : { position: ahead, rows: rowsAfter(ahead) };
      const head = {
        serverId: stock ? null : account.serverId,
        epoch: stock ? null : account.epoch,
        position: String(account.usn),
      };
      remote.afterState();
      return await Promise.resolve(head);
    },
    feed: async function* (position): AsyncGenerator<FeedPage> {
      step("feed");
      const known = early?.position === position ? early.rows : null;
      early = null;
      const rows = known ?? rowsAfter(position);
      for (let at = 0; at < rows.length; at += 3) {
        if (!stock && (known === null || at > 0) && met !== account.epoch && met !== null)
          throw new RemoteError("retry", "the server was put back while its list was read");
        const page = rows.slice(at, at + 3).map(([name, row]) => ({
          name,
          usn: row.usn,
          sha1: row.sha1,
          sizeBytes: stock ? null : (row.bytes?.length ?? null),
          ...(row.author === undefined || stock ? {} : { author: row.author }),
        }));
        yield await Promise.resolve({ rows: page, position: String(page.at(-1)?.usn ?? position) });
      }
    },
    download: async function* (names, _signal, onBytes): AsyncGenerator<Download> {
      step("download");
      for (const name of names) {
        const bytes = account.rows.get(name)?.bytes ?? null;
        inHalves(bytes?.length ?? 0, onBytes);
        yield await Promise.resolve(bytes === null ? { kind: "missing", name } : { kind: "bytes", name, bytes });
      }
    },
    upload: async (batch, _signal, onBytes) => {
      step("upload");
      for (const { bytes } of batch) inHalves(bytes?.length ?? 0, onBytes);
      const results = batch.map((entry) => take(entry));
      remote.after("upload");
      return await Promise.resolve(results);
    },
    verify: async (liveRows) => {
      step("verify");
      const live = [...account.rows.values()].filter((row) => row.sha1 !== null).length;
      return await Promise.resolve(live === liveRows ? "ok" : "differs");
    },
    versions: async (name) => {
      step("versions");
      return await Promise.resolve((account.kept.get(name) ?? []).map(({ bytes: _bytes, ...version }) => version));
    },
    version: async (name, wanted) => {
      step("version");
      const bytes = account.kept.get(name)?.find((version) => version.sha1 === wanted)?.bytes;
      if (bytes === undefined) throw new RemoteError("notFound", "no such version is kept");
      return await Promise.resolve(bytes);
    },
    follow: async () => await Promise.reject(new RemoteError("protocol", "no stream here")),
    close: async () => await Promise.resolve(),
  };
  function rowsAfter(position: string): readonly (readonly [string, Row])[] {
    return [...account.rows].filter(([, row]) => row.usn > Number(position)).toSorted(([, a], [, b]) => a.usn - b.usn);
  }
  function step(call: string): void {
    remote.calls.push(call);
    remote.before(call);
  }
  function take(entry: Upload): UploadResult {
    const standing = account.rows.get(entry.name)?.sha1 ?? null;
    if (standing === entry.sha1) return { kind: "done" };
    if (!stock && standing !== entry.baseSha1) return { kind: "changed" };
    account.put(entry.name, entry.bytes);
    return { kind: "done" };
  }
  return remote;
}
