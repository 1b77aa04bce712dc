/** Planted bugs that prove the oracles (RELIABILITY 3.7). Each is a wrapper around a port or a store: the product knows nothing of them. */
import type { ApplyResult, ApplyStep, LocalTree, Observation } from "../../service/core/local.ts";
import type { Entry } from "../../service/core/model.ts";
import type { Disk, Remote } from "../../service/core/ports.ts";
import type { FolderState, State } from "../../service/core/state.ts";
import type { Account, Storage } from "../../service/server/storage.ts";
import { sha1Of } from "./ledger.ts";
import type { Mutation } from "./machine.ts";
import type { RootGiven } from "./open-root.ts";
import { ROOT } from "./oracles.ts";
import type { FaultClass, SessionOptions } from "./swarm.ts";

export type Canary = {
  readonly name: string;
  /** What the bug is, in the words of a review. */
  readonly bug: string;
  /** Faults that it needs to show; switched on in every session. */
  readonly needs: readonly FaultClass[];
  /** What the session must be made of for it to show. */
  readonly session?: Pick<SessionOptions, "twins" | "stock" | "cloud" | "ops" | "habit">;
  /** The first seed that showed it when it was planted: the search begins there. */
  readonly from: number;
  readonly mutation: Mutation;
};

export const CANARIES: readonly Canary[] = [
  {
    name: "noReCheck",
    bug: "apply replaces and removes without looking once more",
    needs: [],
    from: 1,
    mutation: {
      root: (given) => ({
        ...given,
        applier: (applier) => ({ ...applier, commit: async (steps, run) => await blindCommit(given, steps, run) }),
      }),
    },
  },
  {
    name: "inPlace",
    bug: "apply writes straight to the user's path",
    needs: [],
    from: 1,
    mutation: {
      root: (given) => ({
        ...given,
        applier: (applier) => ({
          ...applier,
          commit: async (steps, run) => {
            for (const step of steps)
              if (step.kind === "put" && step.expect === null) await given.disk.copy(step.temp, `${ROOT}/${step.path}`);
            return await applier.commit(steps, run);
          },
        }),
      }),
    },
  },
  {
    name: "baseFromDisk",
    bug: "after an upload the base becomes what stands on the disk, not what was sent",
    needs: [],
    from: 4,
    mutation: {
      state: (state, volume) =>
        withFolder(state, (rows) => ({
          ...rows,
          base: {
            ...rows.base,
            put: (path, sha1) => {
              const node = volume.find(`${ROOT}/${path}`);
              rows.base.put(path, node?.kind === "file" && sha1 !== null ? sha1Of(node.bytes) : sha1);
            },
          },
        })),
    },
  },
  {
    name: "noUploadIntents",
    bug: "the echo of an own upload whose reply was lost is taken for somebody else's change (W31)",
    needs: ["dropReply"],
    from: 156,
    mutation: { state: (state) => withFolder(state, (rows) => ({ ...rows, uploadIntents: { ...rows.uploadIntents, ofPath: () => [] } })) },
  },
  {
    name: "noApplyIntents",
    bug: "a crash between rename and commit is not known to the next start",
    needs: ["crash", "commitCrash"],
    from: 12,
    mutation: { state: (state) => withFolder(state, (rows) => ({ ...rows, applyIntents: { ...rows.applyIntents, all: () => [] } })) },
  },
  {
    name: "cursorFromReply",
    bug: "the cursor moves to where the feed ends after an upload (W8)",
    needs: [],
    from: 11,
    mutation: { remote: (remote, state) => withJumpingCursor(remote, state) },
  },
  {
    name: "emptyIsGone",
    bug: "an empty file counts as a deletion (W2)",
    needs: [],
    from: 2,
    mutation: { root: (given) => ({ ...given, local: (local) => withEmptyAsGone(local) }) },
  },
  {
    name: "noMarker",
    bug: "nobody looks whether the folder is still the folder",
    needs: ["unmount"],
    from: 20,
    mutation: {
      root: (given) => ({
        ...given,
        // Wherever it is looked for, it is there.
        disk: {
          ...callsOf(given.disk),
          lstat: async (path) => await given.disk.lstat(path.endsWith("/.satchel") ? path.slice(0, path.lastIndexOf("/")) : path),
        },
        local: (local) => ({ ...local, ...methodsOf(local), checkRoot: async () => await Promise.resolve("ok" as const) }),
      }),
    },
  },
  {
    name: "noDirSync",
    bug: "names are never made durable",
    needs: ["power"],
    from: 1,
    mutation: { disk: (disk) => ({ ...callsOf(disk), fsyncDir: async () => await Promise.resolve() }) },
  },
  {
    name: "blindToTwins",
    bug: "a disk that folds names is taken for one that tells them apart (FN10)",
    needs: [],
    session: { twins: true },
    from: 1,
    mutation: {
      disk: (disk) => ({ ...callsOf(disk), caps: async () => await Promise.resolve({ foldsCase: false, foldsNormalization: false }) }),
    },
  },
  {
    name: "noSettling",
    bug: "a file that is not there is gone at once (S5)",
    needs: [],
    session: { habit: "unlinkCreate" },
    from: 4,
    mutation: { root: (given) => ({ ...given, local: (local) => withHaste(local, given) }) },
  },
  {
    name: "noBrake",
    bug: "any number of deletions is sent without asking (S14)",
    needs: [],
    session: { habit: "sweeping" },
    from: 5,
    mutation: { state: (state) => withFolder(state, (rows) => ({ ...rows, base: { ...rows.base, liveCount: () => 1e9 } })) },
  },
  {
    name: "forgetfulServer",
    bug: "the server does not know what a stock client uploaded itself (W31)",
    needs: ["dropReply"],
    session: { stock: 2, cloud: "server", ops: 60 },
    from: 277,
    mutation: { server: (storage) => withoutMemory(storage) },
  },
  {
    name: "serverWins",
    bug: "on a conflict the remote's bytes win and ours are only kept (W1)",
    needs: [],
    from: 1,
    mutation: { policy: "remote-wins" },
  },
];

/** The planted bug of this name; nothing where none is asked for. */
export function canaryOf(name: string | undefined): Canary | null {
  if (name === undefined) return null;
  const found = CANARIES.find((canary) => canary.name === name);
  if (found === undefined) throw new Error(`there is no canary ${name}`);
  return found;
}

function withFolder(state: State, change: (rows: FolderState) => FolderState): State {
  return { ...state, folder: (id) => change(state.folder(id)) };
}

function withoutMemory(storage: Storage): Storage {
  return {
    ...storage,
    account: async (id) => {
      const account = await storage.account(id);
      const change: Account["change"] = async (how, work) =>
        await account.change(how, async (tx) => await work({ ...tx, memory: async () => await Promise.resolve(null) }));
      return { ...account, change };
    },
  };
}

async function blindCommit({ disk, versions }: RootGiven, steps: readonly ApplyStep[], run: string): Promise<readonly ApplyResult[]> {
  const results: ApplyResult[] = [];
  for (const step of steps) {
    const target = `${ROOT}/${step.path}`;
    let kept: ApplyResult & { kind: "done" } = { kind: "done", entry: null, copy: null, kept: null };
    if ((await disk.lstat(target)) !== null && step.expect !== null) {
      const held = await versions.hold(target, false);
      const { sha1, sizeBytes } = step.expect;
      const version = { folder: "folder-1", path: step.path, sha1, sizeBytes, why: step.why, run, atMs: 0 };
      await versions.journalKept([{ kept: held, version }]);
      const [filed] = await versions.file([{ kept: held, version }]);
      kept = { ...kept, kept: filed ?? version };
    }
    if (step.kind === "put") {
      await disk.mkdir(target.slice(0, target.lastIndexOf("/")));
      if (step.copyTo !== null && (await disk.lstat(`${ROOT}/${step.copyTo}`)) === null) await disk.link(target, `${ROOT}/${step.copyTo}`);
      await disk.rename(step.temp, target);
    } else if ((await disk.lstat(target)) !== null) await disk.unlink(target);
    results.push({ ...kept, entry: step.kind === "put" ? await entryAt({ disk }, step.path, step.sha1) : null });
  }
  await disk.fsyncDir(ROOT);
  return results;
}

async function entryAt({ disk }: Pick<RootGiven, "disk">, path: string, sha1: string): Promise<Entry | null> {
  const stat = await disk.lstat(`${ROOT}/${path}`);
  if (stat === null) return null;
  const { sizeBytes, mtimeNs, ctimeNs, fileId } = stat;
  return { path, sizeBytes, mtimeNs, ctimeNs, fileId, sha1, diskPath: null, racy: true };
}

function withJumpingCursor(remote: Remote, state: State): Remote {
  const upload = remote.upload.bind(remote);
  remote.upload = async (batch, signal) => {
    const results = await upload(batch, signal);
    const { position } = await remote.state(signal);
    state.transaction(() => {
      const { cursor } = state.folder("folder-1");
      const known = cursor.get();
      if (known !== undefined) cursor.put({ ...known, position });
    });
    return results;
  };
  return remote;
}

/** The calls of a disk, for spreading. */
function callsOf(disk: Disk): Disk {
  return {
    lstat: async (path) => await disk.lstat(path),
    walk: (root, skip, signal) => disk.walk(root, skip, signal),
    list: async (path) => await disk.list(path),
    hash: async (paths, maxBytes, signal) => await disk.hash(paths, maxBytes, signal),
    read: async (path, maxBytes) => await disk.read(path, maxBytes),
    readRange: async (...range) => await disk.readRange(...range),
    create: async (path, bytes, mode) => await disk.create(path, bytes, mode),
    append: async (path, bytes) => await disk.append(path, bytes),
    copy: async (from, to) => await disk.copy(from, to),
    link: async (from, to) => await disk.link(from, to),
    rename: async (from, to) => await disk.rename(from, to),
    replaceIf: async (from, to, expected) => await disk.replaceIf(from, to, expected),
    unlink: async (path) => await disk.unlink(path),
    mkdir: async (path, mode) => await disk.mkdir(path, mode),
    rmdir: async (path) => await disk.rmdir(path),
    fsyncFile: async (path) => await disk.fsyncFile(path),
    fsyncDir: async (path) => await disk.fsyncDir(path),
    space: async (path) => await disk.space(path),
    caps: async (directory) => await disk.caps(directory),
  };
}

/** The methods of an object of a class, for spreading. */
function methodsOf(local: LocalTree): LocalTree {
  return {
    hint: (diskPath) => local.hint(diskPath),
    dirtyCount: () => local.dirtyCount(),
    needsScan: () => local.needsScan(),
    settlesAtMs: () => local.settlesAtMs(),
    observeDirty: async (signal) => await local.observeDirty(signal),
    observeAll: (options, signal) => local.observeAll(options, signal),
    isRestless: (path) => local.isRestless(path),
    checkRoot: async (options) => await local.checkRoot(options),
    allStand: async (paths) => await local.allStand(paths),
  };
}

function withEmptyAsGone(local: LocalTree): LocalTree {
  const twist = (observation: Observation): Observation =>
    observation.kind === "problem" && observation.reason === "empty" ? { kind: "gone", path: observation.path } : observation;
  return {
    ...methodsOf(local),
    observeDirty: async (signal) => (await local.observeDirty(signal)).map(twist),
    observeAll: async function* all(options, signal) {
      for await (const batch of local.observeAll(options, signal)) yield batch.map(twist);
    },
  };
}

function withHaste(local: LocalTree, { rows, volume }: RootGiven): LocalTree {
  const gone = (): Observation[] =>
    [...rows.entries.all()]
      .filter(({ path }) => volume.find(ROOT) !== null && volume.find(`${ROOT}/${path}`) === null)
      .map(({ path }) => ({ kind: "gone", path }));
  return { ...methodsOf(local), observeDirty: async (signal) => [...(await local.observeDirty(signal)), ...gone()] };
}
