/** Which folders are looked after: add, connect, pause, resume, forget. */
import path from "node:path";

import * as vscode from "vscode";

import type { FolderStatus } from "../protocol/api/model.ts";
import type { MediaNode } from "./media-nodes.ts";
import type { Parts } from "./parts.ts";
import { signIn } from "./sign-in.ts";
import { lookOf, nameOf, shown } from "./words.ts";

const { l10n } = vscode;
/** Where notes usually keep their media, relative to the folder that is open. */
const USUAL_NAMES = ["media", "attachments", "assets", "images", "img", "static", "files", "collection.media"];

/** Adds the folder that the user chooses, or the one whose menu was used. */
export async function addFolder(parts: Parts, chosen?: vscode.Uri): Promise<void> {
  const { session, board } = parts;
  const root = chosen ?? (await chooseFolder());
  if (root === undefined) return;
  if (root.scheme !== "file") throw new Error(l10n.t("Only a folder on this machine's disk can be looked after."));
  await session.start();
  await board.refresh();
  const remote = await chooseRemote(parts);
  if (remote === undefined) return;
  const folder = await session.call("folders/add", { root: root.fsPath, ...(remote === null ? {} : { remote }) });
  await board.refresh();
  const name = shown(nameOf(folder));
  if (remote !== null)
    return void vscode.window.showInformationMessage(
      l10n.t("Satchel looks after {0} from now on. Nothing is deleted when it first syncs.", name),
    );
  const now = l10n.t("Sign In");
  const answer = await vscode.window.showInformationMessage(l10n.t("Satchel looks after {0}. Sign in to a server to sync it.", name), now);
  if (answer === now) await connectFolder(parts, folder);
}

/** Signs in, and gives the new remote to folders that have none. */
export async function signInAndConnect(parts: Parts): Promise<void> {
  const remote = await signIn(parts);
  if (remote === undefined) return;
  const { session, board } = parts;
  await board.refresh();
  const taken = board.folders.some((folder) => folder.remote === remote);
  const [waiting] = board.folders.filter((folder) => folder.remote === null);
  if (!taken && waiting !== undefined) await session.call("folders/update", { folder: waiting.folder, remote });
  await board.refresh();
}

export async function signOut({ session, board, remembered }: Parts): Promise<void> {
  await session.start();
  await board.refresh();
  const signedIn = board.remotes.filter((remote) => remote.signedIn);
  const items = signedIn.map(({ id, url, user }) => ({ label: id, description: url, url, user }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: l10n.t("Sign Out"),
    placeHolder: l10n.t("The key of this device is forgotten. Folders stay."),
  });
  if (chosen === undefined) return;
  // First, so that a service that fails leaves no password behind.
  const forgotten = await remembered.forget(chosen);
  await session.call("remotes/logout", { remote: chosen.label });
  await board.refresh();
  if (!forgotten) throw new Error(l10n.t("Signed out, but the editor's secret storage did not let go of the password that it remembers."));
}

export async function pauseOrResume({ session, board }: Parts, verb: "pause" | "resume", node?: MediaNode): Promise<void> {
  const folder = await chooseFolderFor(board.folders, node, verb === "pause" ? l10n.t("Pause") : l10n.t("Resume"));
  if (folder === undefined) return;
  await session.call(`sync/${verb}`, { folder: folder.folder });
  await board.refresh();
}

/** Its files stay, here and on the server. */
export async function removeFolder({ session, board }: Parts, node?: MediaNode): Promise<void> {
  const folder = await chooseFolderFor(board.folders, node, l10n.t("Stop Looking After a Folder"));
  if (folder === undefined) return;
  const yes = l10n.t("Stop Looking After It");
  const question = l10n.t("Stop looking after {0}?", shown(folder.root));
  const detail = l10n.t("Its files stay where they are, here and on the server.");
  if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, yes)) !== yes) return;
  await session.call("folders/remove", { folder: folder.folder });
  await board.refresh();
}

/** The folder of the item that was used; else the only one; else the user is asked. */
export async function chooseFolderFor(
  folders: readonly FolderStatus[],
  node: MediaNode | undefined,
  title: string,
): Promise<FolderStatus | undefined> {
  if (node?.kind === "folder") return node.folder;
  if (folders.length < 2) return folders[0];
  const items = folders.map((folder) => ({
    label: shown(nameOf(folder)),
    description: lookOf(folder).text,
    detail: shown(folder.root),
    folder,
  }));
  return (await vscode.window.showQuickPick(items, { title }))?.folder;
}

async function connectFolder(parts: Parts, folder: FolderStatus): Promise<void> {
  const remote = await signIn(parts);
  if (remote !== undefined) await parts.session.call("folders/update", { folder: folder.folder, remote });
  await parts.board.refresh();
}

/** Folders of the workspace that look like media come first. */
async function chooseFolder(): Promise<vscode.Uri | undefined> {
  const title = l10n.t("Add a Media Folder");
  const found = await likelyFolders();
  const other = l10n.t("Choose another folder…");
  if (found.length > 0) {
    const items = [
      ...found.map((uri) => ({ label: path.basename(uri.fsPath), description: uri.fsPath, uri })),
      { label: other, description: "", uri: null },
    ];
    const chosen = await vscode.window.showQuickPick(items, { title, placeHolder: l10n.t("Which folder holds the media of your notes?") });
    if (chosen === undefined || chosen.uri !== null) return chosen?.uri ?? undefined;
  }
  const opened = await vscode.window.showOpenDialog({
    title,
    canSelectFiles: false,
    canSelectFolders: true,
    canSelectMany: false,
    openLabel: l10n.t("Add"),
  });
  return opened?.[0];
}

async function likelyFolders(): Promise<readonly vscode.Uri[]> {
  const found: vscode.Uri[] = [];
  for (const { uri } of vscode.workspace.workspaceFolders ?? []) {
    if (uri.scheme !== "file") continue;
    const entries = await vscode.workspace.fs.readDirectory(uri);
    const names = entries.filter(([, type]) => (type & vscode.FileType.Directory) !== 0).map(([name]) => name);
    found.push(...USUAL_NAMES.filter((name) => names.includes(name)).map((name) => vscode.Uri.joinPath(uri, name)));
  }
  return found;
}

/** null: none for now; undefined: the user went away. A remote serves one folder. */
async function chooseRemote(parts: Parts): Promise<string | null | undefined> {
  const { remotes, folders } = parts.board;
  const free = remotes.filter(({ id }) => folders.every((folder) => folder.remote !== id));
  const [only] = free;
  if (only !== undefined && free.length === 1) return only.id;
  const enter = { label: l10n.t("Sign in to a server…"), id: "" };
  const later = { label: l10n.t("Later"), id: null };
  const items = [...free.map(({ id }) => ({ label: id, id })), enter, later];
  const chosen = await vscode.window.showQuickPick<{ label: string; id: string | null }>(items, {
    title: l10n.t("Sync With"),
    placeHolder: l10n.t("Which server keeps this folder's media?"),
  });
  if (chosen === undefined) return undefined;
  return chosen === enter ? await signIn(parts) : chosen.id;
}
