/** What the remote keeps of a path beside what this device keeps: listed for people, and fetched, verified, into the version store when it is wanted. */
import type { Sha1, Version } from "../core/model.ts";
import { RemoteError, type Remote, type RemoteVersion } from "../core/ports.ts";
import { toWire } from "../core/wire-names.ts";
import { commandId } from "./change-local.ts";
import { EngineError } from "./errors.ts";
import type { FolderParts } from "./parts.ts";

/** `where`: who keeps the bytes. A remote does not tell in which run it was: `run` is empty then. */
export type KeptVersion = Version & { readonly where: "here" | "remote" };
/** `remoteDetail`: why the remote's could not be asked for; null: they are in the list, or it keeps none. */
export type KeptVersions = { readonly versions: readonly KeptVersion[]; readonly remoteDetail: string | null };

/** A person waits for the list: what is kept here is shown without the remote's rather than late. */
const LIST_WAIT_MS = 8_000;

/** Newest first. Bytes that are kept here are not listed again for the remote. Never throws for what a remote does. */
export async function listVersions(parts: FolderParts, path: string): Promise<KeptVersions> {
  const here = parts.rows.versions.ofPath(path).map((version): KeptVersion => ({ ...version, where: "here" }));
  const asked = await askForVersions(parts, path);
  if (typeof asked === "string") return { versions: here, remoteDetail: asked };
  const known = new Set(here.map(({ sha1 }) => sha1));
  const there = asked
    .filter(({ sha1 }) => !known.has(sha1))
    .map((version): KeptVersion => ({ ...version, folder: parts.id, path, run: "", where: "remote" }));
  return { versions: [...here, ...there].toSorted((a, b) => b.atMs - a.atMs), remoteDetail: null };
}

/** Makes sure that the version store has these bytes of the path, from the remote where need be. False: nobody keeps them. @throws EngineError */
export async function bringVersion(parts: FolderParts, path: string, sha1: Sha1): Promise<boolean> {
  if ((await parts.versions.locate(sha1)) !== null) return true;
  const remote = parts.remote();
  if (remote === null || !remote.can.versions) return false;
  const bytes = await fetchVersion(remote, wireNameOf(parts, path), sha1, path);
  if (bytes === null) return false;
  if ((await parts.compute.sha1Fairly(bytes)) !== sha1)
    throw new EngineError("unreachable", `The remote sent other bytes than ${sha1.slice(0, 8)} for ${path}. Nothing was kept; try again.`);
  const kept = await parts.applier.keep(path, bytes, sha1, "fetched", commandId(parts));
  parts.state.transaction(() => parts.rows.versions.add(kept));
  return true;
}

/** The newest bytes of the path that the remote keeps and that are not `standing`; null: it keeps none. @throws EngineError where it can't be asked */
export async function newestThere(parts: FolderParts, path: string, standing: Sha1 | null): Promise<Sha1 | null> {
  const asked = await askForVersions(parts, path);
  if (typeof asked === "string") throw new EngineError("unreachable", asked);
  return asked.find(({ sha1 }) => sha1 !== standing)?.sha1 ?? null;
}

/** In words why not, where the remote can't be asked now. */
async function askForVersions(parts: FolderParts, path: string): Promise<readonly RemoteVersion[] | string> {
  const remote = parts.remote();
  if (remote === null || !remote.can.versions) return [];
  const enough = new AbortController();
  const waiting = new AbortController();
  const late = parts.clock.sleep(LIST_WAIT_MS, waiting.signal).then(
    () => enough.abort(new RemoteError("offline", "The remote does not answer.")),
    () => undefined,
  );
  try {
    return await remote.versions(wireNameOf(parts, path), enough.signal);
  } catch (error) {
    if (error instanceof RemoteError) return `What the remote keeps of ${path} could not be asked for: ${error.message}`;
    throw error;
  } finally {
    waiting.abort();
    await late;
  }
}

/** null: the remote does not keep it. */
async function fetchVersion(remote: Remote, name: string, sha1: Sha1, path: string): Promise<Uint8Array | null> {
  try {
    return await remote.version(name, sha1, AbortSignal.any([]));
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    if (error.fault === "notFound") return null;
    const fault = error.fault === "auth" || error.fault === "notOurServer" ? error.fault : "unreachable";
    throw new EngineError(fault, `The kept bytes ${sha1.slice(0, 8)} of ${path} could not be fetched: ${error.message}`, { cause: error });
  }
}

function wireNameOf({ rows }: FolderParts, path: string): string {
  const known = rows.remote.get(path)?.wireName;
  if (known !== undefined) return known;
  const wire = toWire(path);
  return wire.kind === "name" ? wire.name : path;
}
