/** The facade's `remotes` area: signing in and out. A password is used once and kept nowhere. */
import { RemoteError } from "../core/ports.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { Engine } from "./facade.ts";

export function remotesArea(context: EngineContext): Engine["remotes"] {
  const { deps, folders } = context;
  return {
    list: () => deps.settings.remotes().map((remote) => ({ ...remote, signedIn: deps.settings.key(remote.id) !== null })),
    login: async ({ url, user, password }) => {
      const { id, url: base } = deps.remoteIdOf(url, user);
      const { key } = await asEngineError(async () => await deps.login({ url: base, user, password }), `signing in to ${id}`);
      const others = deps.settings.remotes().filter((remote) => remote.id !== id);
      await deps.settings.saveRemotes([...others, { id, url: base, user }]);
      await deps.settings.saveKey(id, key);
      await context.forgetRemote(id);
      await adoptLonelyFolder(context, id);
      for (const folder of folders.values()) {
        folder.loopIfOpen?.resetStream();
        folder.loopIfOpen?.tryAgain();
      }
      deps.state.transaction(() => deps.state.events.append("remote/login", null, { remote: id }, deps.clock.wallMs()));
      return { remote: id };
    },
    logout: async (id) => {
      if (!deps.settings.remotes().some((remote) => remote.id === id)) throw new EngineError("remoteNotFound", `There is no remote ${id}.`);
      await deps.settings.saveKey(id, null);
      await context.forgetRemote(id);
      for (const folder of folders.values()) folder.loopIfOpen?.resetStream();
      deps.state.transaction(() => deps.state.events.append("remote/logout", null, { remote: id }, deps.clock.wallMs()));
    },
    test: async (id) => {
      const remote = context.remote(id);
      if (remote === null) throw new EngineError("noRemote", `Nobody is signed in to ${id}: run \`satchel login\`.`);
      const began = deps.clock.monoMs();
      try {
        const state = await remote.state(AbortSignal.any([]));
        const detail = state.serverId === null ? "an Anki sync server" : "a Satchel server";
        return { ok: true, kind: remote.kind, detail, roundTripMs: Math.round(deps.clock.monoMs() - began) };
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error;
        return { ok: false, kind: remote.kind, detail: error.message, roundTripMs: Math.round(deps.clock.monoMs() - began) };
      }
    },
  };
}

/** The first sign-in serves the one folder that waits for a remote. */
async function adoptLonelyFolder(context: EngineContext, remote: string): Promise<void> {
  const { settings } = context.deps;
  const rows = settings.folders();
  const lonely = rows.filter((row) => row.remote === null);
  const [only] = lonely;
  if (lonely.length !== 1 || only === undefined || rows.some((row) => row.remote === remote)) return;
  await settings.saveFolders(rows.map((row) => (row.id === only.id ? { ...row, remote } : row)));
}

async function asEngineError<T>(work: () => Promise<T>, attempt: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    const fault = error.fault === "auth" ? "auth" : error.fault === "notOurServer" ? "notOurServer" : "unreachable";
    throw new EngineError(fault, `${attempt}: ${error.message}`, { cause: error });
  }
}
