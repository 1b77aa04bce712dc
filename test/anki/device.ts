import { mkdir, mkdtemp, readdir, readFile, rename, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import type { RunSummary } from "../../service/core/model.ts";
import { connectRpc } from "../support/rpc.ts";
import { makeSatchel } from "../support/satchel.ts";
import { PASSWORD, patiently } from "../support/sync-server.ts";
import type { Driver } from "./official-client.ts";

export type Kind = "official" | "satchel";
/** `ok` false: the sync ended with an error, told in `detail`. */
export type SyncResult = { readonly ok: boolean; readonly detail: string };

/** One media folder with the client that syncs it. Nothing syncs but by `sync`. Names are relative, `/`-separated. */
export interface Device {
  readonly kind: Kind;
  /** As an editor saves: a new file takes the old one's place. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Overwrites the file's bytes where it stands. */
  writeInPlace(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** null: nothing there. */
  read(name: string): Promise<Buffer | null>;
  /** Every file, sorted; the client's own litter left out. */
  list(): Promise<readonly string[]>;
  sync(): Promise<SyncResult>;
  /** Ends the sync under way at once, as a user does who does not want to wait. */
  cancel(): Promise<void>;
  /** The client loses what it knows (its database); the files stay. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

/** A real Anki client: a collection in the driver. `ask` reaches what only it can do. */
export type OfficialDevice = Device & {
  readonly kind: "official";
  ask(what: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
};

let devices = 0;

/** Opens a fresh collection and logs it in. */
export async function officialDevice(driver: Driver, url: string, user: string): Promise<OfficialDevice> {
  const id = `d${String(++devices)}`;
  const home = await mkdtemp(path.join(tmpdir(), "satchel-anki-client-"));
  const ask = async (what: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> => await driver.ask(id, what, args);
  await ask("open", { home, endpoint: url });
  await patiently(async () => await ask("login", { user, password: PASSWORD }));
  return {
    kind: "official",
    ask,
    async write(name, bytes) {
      await ask("write", { name, data: Buffer.from(bytes).toString("base64") });
    },
    async writeInPlace(name, bytes) {
      await writeFile(path.join(home, "collection.media", name), bytes);
    },
    async remove(name) {
      await ask("remove", { name });
    },
    async read(name) {
      return await readOrNull(path.join(home, "collection.media", name));
    },
    async list() {
      return (await readdir(path.join(home, "collection.media"))).toSorted();
    },
    async sync() {
      return await ask("sync_media").then(
        () => ({ ok: true, detail: "" }),
        (error: unknown) => ({ ok: false, detail: String(error) }),
      );
    },
    async cancel() {
      await ask("abort");
    },
    async forget() {
      await ask("forget");
    },
    async close() {
      await ask("finish");
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Our service over a fresh folder, paused except while it is told to sync. */
export async function satchelDevice(url: string, user: string): Promise<Device> {
  const satchel = await makeSatchel();
  await satchel.run();
  let rpc = await connectRpc(satchel.home);
  const { remote } = await patiently(async () => await rpc.call("remotes/login", { url, user, password: PASSWORD }));
  const { folder } = await rpc.call("folders/add", { root: satchel.root, remote, paused: true });
  const at = (name: string): string => path.join(satchel.root, name);
  let saves = 0;
  return {
    kind: "satchel",
    async write(name, bytes) {
      await mkdir(path.dirname(at(name)), { recursive: true });
      const temp = path.join(satchel.home, `saving-${String(++saves)}`);
      await writeFile(temp, bytes);
      await rename(temp, at(name));
    },
    async writeInPlace(name, bytes) {
      await writeFile(at(name), bytes);
    },
    async remove(name) {
      await unlink(at(name));
    },
    async read(name) {
      return await readOrNull(at(name));
    },
    async list() {
      const found = await readdir(satchel.root, { recursive: true, withFileTypes: true });
      return found
        .filter((entry) => entry.isFile())
        .map((entry) => path.relative(satchel.root, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"))
        .filter((name) => !name.startsWith(".satchel"))
        .toSorted();
    },
    async sync() {
      await rpc.call("sync/resume", { folder });
      const { runs } = await rpc.call("sync/run", { folder, scan: true });
      await rpc.call("sync/pause", { folder });
      return { ok: runs.every(({ result }) => result !== "failed"), detail: runs.map(inShort).join("; ") };
    },
    async cancel() {
      await rpc.call("sync/cancel", { folder });
    },
    async forget() {
      await rpc.close();
      await satchel.stop();
      for (const end of ["", "-wal", "-shm"]) await rm(path.join(satchel.home, "state", `state.db${end}`), { force: true });
      await satchel.run();
      rpc = await connectRpc(satchel.home);
    },
    async close() {
      await rpc.close();
      await satchel.close();
    },
  };
}

/** What a run did, and what it says went wrong. */
function inShort(run: RunSummary): string {
  const counts = [run.uploadedFiles, run.downloadedFiles, run.deletedLocal, run.deletedRemote, run.conflicts, run.problems];
  return `${run.result} up/down/deleted here/there/conflicts/problems ${counts.join("/")} ${run.error ?? ""}`;
}

async function readOrNull(file: string): Promise<Buffer | null> {
  return await readFile(file).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  });
}
