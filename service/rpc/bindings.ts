/** From every method of the API to the engine's facade, and nothing else. */
import { createHash, createHmac } from "node:crypto";

import type { FolderStatus as FolderShown } from "../../protocol/api/model.ts";
import { METHODS, type MethodName, type ParsedOf, type ResultOf } from "../../protocol/api/table.ts";
import type { Method, Scope } from "../../protocol/method.ts";
import { openRpcDocument } from "../../protocol/openrpc.ts";
import { PROTOCOL_VERSION, VERSION } from "../../protocol/version.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Engine, FolderStatus } from "../engine/facade.ts";
import { shownUrl } from "../remotes/endpoint.ts";
import type { Bindings, Bound, Call } from "./dispatch.ts";
import { RpcFailure } from "./failures.ts";
import type { TokenBook } from "./tokens.ts";

/** What only the process itself can tell or do. */
export type ServiceSelf = {
  readonly pid: number;
  readonly device: string;
  /** Another one after every start. */
  readonly session: string;
  /** Of service.json: proves that we wrote it. */
  readonly serviceKey: string;
  readonly port: () => number | null;
  /** Front ends that are connected now. */
  readonly clients: () => number;
  readonly uptimeMs: () => number;
  /** Told what a front end calls itself, for the log. */
  readonly met?: (client: string, scope: Scope) => void;
  /** Begins the clean stop; returns at once. */
  readonly stop: () => void;
  readonly tokens: {
    readonly book: TokenBook;
    /** Ends the connections that were opened with it, after the answer has left; says how many. */
    readonly closeAllOf: (tokenId: string) => number;
  };
  /** Prometheus text. */
  readonly metrics: (connections: number) => Promise<string>;
  readonly doctor: () => Promise<ResultOf<"service/doctor">["checks"]>;
};

type Handlers = {
  readonly [Name in MethodName]: (params: ParsedOf<Name>, call: Call) => ResultOf<Name> | Promise<ResultOf<Name>>;
};

const PAGE = 1000;
const RUNS = 20;
const REMOVED = 100;
const READ_BYTES = 512 * 1024;

/** All methods, ready to be called. @throws EngineError from the handlers */
export function bindMethods(engine: Engine, self: ServiceSelf): Bindings {
  const handlers: Handlers = {
    ...serviceHandlers(engine, self),
    ...tokenHandlers(self),
    ...folderHandlers(engine),
    ...syncHandlers(engine),
    ...fileHandlers(engine),
    ...answerHandlers(engine),
    ...eventHandlers(engine),
    ...notesHandlers(engine),
  };
  return new Map(
    METHODS.map((method: Method & { readonly name: MethodName }): [string, Bound] => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the dispatcher hands over what this method's own schema parsed
      const run = handlers[method.name] as Bound["run"];
      return [method.name, { method, run }];
    }),
  );
}

type Part<Names extends MethodName> = Pick<Handlers, Names>;

function serviceHandlers(
  engine: Engine,
  self: ServiceSelf,
): Part<"service/hello" | "service/status" | "service/shutdown" | "service/metrics" | "service/doctor" | "rpc.discover"> {
  let discovered: ReturnType<typeof openRpcDocument> | null = null;
  return {
    "service/hello": ({ nonce, client }, { peer }) => {
      if (client !== undefined) self.met?.(client, peer.scope);
      return {
        version: VERSION,
        protocolVersion: PROTOCOL_VERSION,
        pid: self.pid,
        session: self.session,
        device: self.device,
        scope: peer.scope,
        proof: nonce === undefined ? null : helloProof(self.serviceKey, nonce),
        lastSeq: engine.events.lastSeq(),
        log: engine.events.id,
      };
    },
    "service/status": () => ({
      service: { version: VERSION, pid: self.pid, uptimeMs: self.uptimeMs(), port: self.port(), device: self.device },
      folders: engine.folders.list().map(shown),
      remotes: remotesShown(engine),
    }),
    "service/shutdown": () => {
      self.stop();
      return { stopping: true };
    },
    "service/metrics": async () => ({ text: await self.metrics(self.clients()) }),
    "service/doctor": async () => ({ checks: await self.doctor() }),
    // Made once: it costs some 20 ms.
    "rpc.discover": () => (discovered ??= openRpcDocument()),
  };
}

function tokenHandlers({ tokens: { book, closeAllOf } }: ServiceSelf): Part<"tokens/create" | "tokens/list" | "tokens/revoke"> {
  return {
    "tokens/create": ({ name, scope }) => book.create(name, scope),
    "tokens/list": () => ({ tokens: book.list() }),
    "tokens/revoke": ({ id }) => {
      book.revoke(id);
      return { closed: closeAllOf(id) };
    },
  };
}

/** Keyed with the service key: one who has only seen the token (a squatter on our port) can't make it. */
function helloProof(serviceKey: string, nonce: string): string {
  return createHmac("sha256", serviceKey).update(`satchel-hello:${nonce}`).digest("hex");
}

function folderHandlers(
  engine: Engine,
): Part<
  | "folders/add"
  | "folders/list"
  | "folders/get"
  | "folders/update"
  | "folders/remove"
  | "remotes/list"
  | "remotes/login"
  | "remotes/logout"
  | "remotes/test"
> {
  const { folders, remotes } = engine;
  return {
    "folders/add": async ({ root, remote, policy, paused }) =>
      shown(await folders.add({ root, remote: remote ?? null, policy: policy ?? "keep-both", paused: paused ?? false })),
    "folders/list": () => ({ folders: folders.list().map(shown) }),
    "folders/get": ({ folder }) => shown(folders.get(folder)),
    "folders/update": async ({ folder, remote, policy, root, hash }) => {
      const now = shown(folders.get(folder));
      if (hash !== undefined && hash !== now.hash)
        throw new RpcFailure(
          ErrorCode.FolderChanged,
          `Could not change ${now.root}: it is not set up as it was shown. Look again, then decide.`,
        );
      const change = {
        ...(remote === undefined ? {} : { remote }),
        ...(policy === undefined ? {} : { policy }),
        ...(root === undefined ? {} : { root }),
      };
      return shown(await folders.update(folder, change));
    },
    "folders/remove": async ({ folder }) => await done(folders.remove(folder)),
    "remotes/list": () => ({ remotes: remotesShown(engine) }),
    "remotes/login": async ({ url, user, password }) => await remotes.login({ url, user, password }),
    "remotes/logout": async ({ remote }) => await done(remotes.logout(remote)),
    "remotes/test": async ({ remote }) => await remotes.test(remote),
  };
}

/** With the hash that names its settings (WS19): what is asked of a folder that was set up otherwise meanwhile is refused. */
function shown(status: FolderStatus): FolderShown {
  const { folder, root, remote, policy } = status;
  const hash = createHash("sha256")
    .update(JSON.stringify([folder, root, remote, policy]))
    .digest("hex")
    .slice(0, 16);
  return { ...status, hash };
}

/** An address may hold a proxy's user and password: those are for nobody who only reads (X3). */
function remotesShown(engine: Engine): ResultOf<"remotes/list">["remotes"] {
  return engine.remotes.list().map((remote) => ({ ...remote, url: shownUrl(new URL(remote.url)) }));
}

function syncHandlers(
  engine: Engine,
): Part<
  "sync/run" | "sync/plan" | "sync/apply" | "sync/cancel" | "sync/pause" | "sync/resume" | "sync/undo" | "sync/runs" | "changes/list"
> {
  const { sync } = engine;
  return {
    "sync/run": async ({ folder, scan, wait, progressToken }, { peer, signal }) => {
      const asked = { folder: folder ?? null, scan: scan ?? true };
      if (wait !== false) return { runs: await peer.withProgress(progressToken, asked.folder, async () => await sync.run(asked, signal)) };
      // What can be refused at once (no such folder, paused, not signed in) is; the run itself tells its story in events.
      const begun = Promise.withResolvers<void>();
      setImmediate(begun.resolve);
      await Promise.race([sync.run(asked, new AbortController().signal), begun.promise]);
      return { runs: [] };
    },
    "sync/plan": async ({ folder }) => await sync.plan(folder),
    "sync/apply": async ({ folder, hash, progressToken }, { peer }) =>
      await peer.withProgress(progressToken, folder, async () => await sync.apply(folder, hash)),
    "sync/cancel": async ({ folder }) => await done(sync.cancel(folder)),
    "sync/pause": async ({ folder }) => await done(sync.pause(folder)),
    "sync/resume": async ({ folder }) => await done(sync.resume(folder)),
    "sync/undo": async ({ folder, preview }) => await sync.undo(folder, { preview: preview ?? false }),
    "sync/runs": ({ folder, limit }) => ({ runs: sync.lastRuns(folder, limit ?? RUNS) }),
    "changes/list": ({ folder, since, limit }) => ({ changes: engine.changes(folder ?? null, since ?? 0, limit ?? PAGE) }),
  };
}

function fileHandlers(
  engine: Engine,
): Part<
  | "files/list"
  | "files/add"
  | "files/rename"
  | "files/find"
  | "files/explain"
  | "versions/list"
  | "versions/removed"
  | "versions/read"
  | "versions/restore"
> {
  const { files, versions } = engine;
  return {
    "files/list": ({ folder, state, after, limit }) => ({
      files: files.list({ folder, state: state ?? null, after: after ?? "", limit: limit ?? PAGE }),
    }),
    "files/add": async ({ folder, path }) => await files.add(folder, path),
    "files/rename": async ({ folder, from, to }) => await files.rename(folder, from, to),
    "files/find": ({ folder, sha1 }) => ({ file: files.find(folder, sha1) }),
    "files/explain": ({ folder, path }) => files.explain(folder, path),
    "versions/list": async ({ folder, path }) => await versions.list(folder, path),
    "versions/removed": ({ folder, limit }) => ({ versions: versions.removed(folder, limit ?? REMOVED) }),
    "versions/read": async ({ sha1, folder, path, offsetBytes, lengthBytes }) => {
      const slice = {
        sha1,
        folder: folder ?? null,
        path: path ?? null,
        offsetBytes: offsetBytes ?? 0,
        lengthBytes: lengthBytes ?? READ_BYTES,
      };
      const bytes = await versions.read(slice);
      return { base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"), lengthBytes: bytes.byteLength };
    },
    "versions/restore": async ({ folder, path, sha1 }) => await versions.restore(folder, path, sha1 ?? null),
  };
}

function answerHandlers(
  engine: Engine,
): Part<"conflicts/list" | "conflicts/get" | "conflicts/resolve" | "guard/list" | "guard/approve" | "guard/reject"> {
  const { conflicts, guard } = engine;
  return {
    "conflicts/list": ({ folder, open }) => ({ conflicts: conflicts.list(folder ?? null, open ?? true) }),
    "conflicts/get": ({ id }) => conflicts.get(id),
    "conflicts/resolve": async ({ id, keep, as }) => await conflicts.resolve(id, keep, as ?? null),
    "guard/list": ({ folder }) => ({ holds: guard.list(folder ?? null) }),
    "guard/approve": async ({ id, hash }) => await done(guard.approve(id, hash)),
    "guard/reject": async ({ id, hash }) => await done(guard.reject(id, hash)),
  };
}

function eventHandlers(engine: Engine): Part<"events/list" | "events/subscribe" | "events/unsubscribe"> {
  const { events } = engine;
  return {
    "events/list": ({ since, limit }) => ({ ...events.since(since ?? 0, limit ?? PAGE), lastSeq: events.lastSeq() }),
    "events/subscribe": ({ since, log, progress }, { peer }) => {
      const lastSeq = events.lastSeq();
      // A number of a log that was lost (a rebuilt state counts from 1 again) says nothing here: all there is is new, and the gap is told.
      const foreign = since !== undefined && (since > lastSeq || (log !== undefined && log !== events.id));
      const from = foreign ? 0 : (since ?? lastSeq);
      peer.subscribe({ after: from, lostAfter: foreign ? since : null }, progress ?? false);
      return { since: from, lastSeq, log: events.id };
    },
    "events/unsubscribe": (_params, { peer }) => {
      peer.unsubscribe();
      return {};
    },
  };
}

function notesHandlers(engine: Engine): Part<"notes/check" | "notes/clean"> {
  const { notes } = engine;
  return {
    "notes/check": async ({ folder, notes: directories }, { signal }) => await notes.check({ folder, notes: directories }, signal),
    "notes/clean": async ({ folder, notes: directories, paths }, { signal }) =>
      await notes.clean({ folder, notes: directories, paths }, signal),
  };
}

async function done(work: Promise<void>): Promise<Record<string, never>> {
  await work;
  return {};
}
