/** The facade's `folders` area: which media folders the service looks after. */
import type { EngineContext } from "./deps.ts";
import { meetAnew } from "./fetch.ts";
import { EngineError } from "./errors.ts";
import type { Engine, FolderConfig, FolderStatus } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { checkNotOurs, holds } from "./own-directories.ts";

export function foldersArea(context: EngineContext): Engine["folders"] {
  const { deps, folders, need } = context;
  const status = (id: string): FolderStatus => need(id).status();
  return {
    list: () => [...folders.values()].map((folder) => folder.status()),
    get: status,
    add: async (options) => await addFolder(context, options),
    update: async (id, change) => {
      const folder = need(id);
      const before = deps.settings.folders();
      const config = before.find((row) => row.id === id) ?? folder.config;
      const next: FolderConfig = {
        ...config,
        ...(change.policy === undefined ? {} : { policy: change.policy }),
        ...(change.remote === undefined ? {} : { remote: change.remote }),
      };
      if (change.remote !== undefined && change.remote !== config.remote) checkRemote(context, change.remote, id);
      if (change.root !== undefined && change.root !== config.root) return await moveRoot(context, next, change.root);
      const save = async () => await deps.settings.saveFolders(before.map((row) => (row.id === id ? next : row)));
      if (next.remote === config.remote) await save();
      else await changeRemote(context, folder, save);
      folder.loopIfOpen?.tryAgain();
      return folder.status();
    },
    remove: async (id) => {
      const folder = need(id);
      await deps.settings.saveFolders(deps.settings.folders().filter((row) => row.id !== id));
      await folder.close();
      folders.delete(id);
      deps.state.transaction(() => {
        deps.state.dropFolder(id);
        deps.state.events.append("folder/removed", id, { root: folder.config.root }, deps.clock.wallMs());
      });
    },
    locate: async (absolutePath) => {
      const real = await realOf(context, absolutePath);
      for (const { config } of folders.values()) {
        if (real === config.root) return { folder: config.id, path: "" };
        if (real.startsWith(`${config.root}/`)) return { folder: config.id, path: real.slice(config.root.length + 1).normalize("NFC") };
      }
      return null;
    },
  };
}

/** What was agreed with the old remote says nothing about the new one, and no run may be under way between the two. Nothing is deleted. */
async function changeRemote({ deps }: EngineContext, folder: Folder, save: () => Promise<void>): Promise<void> {
  const change = async (): Promise<void> => {
    await save();
    deps.state.transaction(() => meetAnew(folder));
  };
  const loop = folder.loopIfOpen;
  if (loop === null) return await change();
  loop.cancel();
  await loop.exclusive(change);
  loop.resetStream();
}

async function addFolder(context: EngineContext, options: Parameters<Engine["folders"]["add"]>[0]): Promise<FolderStatus> {
  const { deps, folders } = context;
  const root = await deps.realRoot(options.root);
  if (root === null)
    throw new EngineError(
      "notADirectory",
      `${options.root} is not a folder that can be read. Make it, or correct the path, then add it again.`,
    );
  checkRootFree(context, root, null);
  const remote = options.remote ?? onlyRemote(context);
  if (remote !== null) checkRemote(context, remote, null);
  const config: FolderConfig = { id: newFolderId(context), root, remote, policy: options.policy, paused: options.paused };
  const folder = await context.open(config);
  const status = folder.status();
  if (status.state === "error" || status.state === "held") {
    await folder.close();
    folders.delete(config.id);
    throw new EngineError("rootLocked", status.detail ?? `${root} can't be opened.`);
  }
  await deps.settings.saveFolders([...deps.settings.folders(), config]);
  deps.state.transaction(() => deps.state.events.append("folder/added", config.id, { root, remote }, deps.clock.wallMs()));
  folder.loopIfOpen?.tryAgain();
  return folder.status();
}

/** One file belongs to one folder, and Satchel's own files to none: equal and nested roots are refused. */
function checkRootFree({ deps, folders }: EngineContext, root: string, except: string | null): void {
  checkNotOurs(deps.ownDirectories, root);
  const others = [...folders.values()].filter(({ config }) => config.id !== except);
  const same = others.find(({ config }) => config.root === root);
  if (same !== undefined) throw new EngineError("exists", `${root} is looked after already (folder ${same.config.id}).`);
  const nested = others.find(({ config }) => holds(root, config.root) || holds(config.root, root));
  if (nested === undefined) return;
  throw new EngineError(
    "nested",
    `${root} and ${nested.config.root} lie inside one another: one file would belong to two folders. Add only one of them.`,
  );
}

/** `--remote` may be left out where there is only one. */
function onlyRemote(context: EngineContext): string | null {
  const remotes = context.deps.settings.remotes();
  return remotes.length === 1 ? (remotes[0]?.id ?? null) : null;
}

/** An account is one namespace: a second folder on one remote would mix their files. */
function checkRemote(context: EngineContext, remote: string, folder: string | null): void {
  const { settings } = context.deps;
  if (!settings.remotes().some((row) => row.id === remote)) {
    throw new EngineError("remoteNotFound", `There is no remote ${remote}. Sign in first: \`satchel login URL --user NAME\`.`);
  }
  const taken = settings.folders().find((row) => row.remote === remote && row.id !== folder);
  if (taken !== undefined)
    throw new EngineError(
      "remoteTaken",
      `${taken.root} is synced with ${remote} already, and an account holds one set of files. Use another account for this folder.`,
    );
}

/** The user says where the folder is now. The old root's rows stay true if the files are the same: the scan tells. */
async function moveRoot(context: EngineContext, next: FolderConfig, to: string): Promise<FolderStatus> {
  const { deps } = context;
  const root = await deps.realRoot(to);
  if (root === null) throw new EngineError("notADirectory", `${to} is not a folder that can be read.`);
  checkRootFree(context, root, next.id);
  const config = { ...next, root };
  await context.need(next.id).close();
  await deps.settings.saveFolders(deps.settings.folders().map((row) => (row.id === next.id ? config : row)));
  const folder = await context.open(config);
  return folder.status();
}

async function realOf(context: EngineContext, absolutePath: string): Promise<string> {
  const slash = absolutePath.lastIndexOf("/");
  const own = await context.deps.realRoot(absolutePath);
  if (own !== null) return own;
  const parent = await context.deps.realRoot(absolutePath.slice(0, slash) || "/");
  return parent === null ? absolutePath : `${parent === "/" ? "" : parent}/${absolutePath.slice(slash + 1)}`;
}

function newFolderId(context: EngineContext): string {
  const { random } = context.deps;
  return `${random.u32().toString(36)}${random.u32().toString(36)}`.slice(-10).padStart(10, "0");
}
