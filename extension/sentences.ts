/**
 * The service's sentences in the language of the editor. It speaks English and tells codes beside: where the editor speaks another language that we
 * have texts for, the code's own sentence is shown. It says less (no names, no sizes), so the log keeps the service's words.
 */
import * as vscode from "vscode";

import type { FolderStatus } from "../protocol/api/model.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { RequestError, type SessionState } from "./session.ts";
import { nameOf, reasonOf, shown } from "./words.ts";

const { l10n } = vscode;

/** The service's own words can be shown: nothing else was asked for, or there are no texts in that language. */
export function isEnglish(): boolean {
  return l10n.bundle === undefined;
}

/** What went wrong, for a person; `reasonOf` is for the log. */
export function sentenceOf(error: unknown): string {
  if (isEnglish() || !(error instanceof RequestError)) return reasonOf(error);
  // Without a code it is the connection's own trouble.
  if (error.code === null)
    return l10n.t("The service does not answer this window. Start it, or reload the window after an update; the log tells more.");
  return ERRORS[error.code]();
}

/** Why the window has no service; the log has the whole story. */
export function stateSentence(state: Extract<SessionState, { message: string }>): string {
  if (isEnglish()) return state.message;
  return state.kind === "outdated"
    ? l10n.t("the service is newer than this window. Reload the window, or update the extension.")
    : l10n.t("the service does not answer. It is tried again by itself; the log tells more.");
}

/** Why a file can't be synced and what to do, at length. `detail`: the service's words, for a reason that is newer than this extension. */
export function problemSentence(reason: string, detail: string): string {
  return isEnglish() ? detail : (PROBLEMS.get(reason)?.() ?? detail);
}

/** Why media of a note is missing. `detail`: as above. */
export function causeSentence(cause: string, file: string, detail: string): string {
  // The service's words name a command of the command line, which may not be there: the editor has a view for it.
  return isEnglish() && cause !== "conflict" ? detail : (CAUSES.get(cause)?.(file) ?? detail);
}
/** Why a folder is offline or at fault, or a run of it failed; null: nothing to say. `detail`: the service's words. */
export function faultSentence(folder: Pick<FolderStatus, "root">, fault: string | null, detail: string | null): string | null {
  if (isEnglish() || fault === null) return detail;
  return FAULTS.get(fault)?.(shown(nameOf(folder))) ?? detail;
}

const ERRORS: Readonly<Record<ErrorCode, () => string>> = {
  [ErrorCode.ParseError]: () => l10n.t("The service could not read the request."),
  [ErrorCode.InvalidRequest]: () => l10n.t("The service refused the request: it breaks a limit."),
  [ErrorCode.MethodNotFound]: () => l10n.t("The service does not know this request. It is older than the extension: start it again."),
  [ErrorCode.InvalidParams]: () => l10n.t("The service did not accept what was entered."),
  [ErrorCode.InternalError]: () => l10n.t("The service met a fault of its own. Nothing was lost; its log tells more."),
  [ErrorCode.RequestCancelled]: () => l10n.t("It was cancelled."),
  [ErrorCode.FolderNotFound]: () => l10n.t("The folder is not looked after any more."),
  [ErrorCode.FolderPaused]: () => l10n.t("The folder is paused. Resume it first."),
  [ErrorCode.NoRemote]: () => l10n.t("The folder has no server yet. Sign in to one first."),
  [ErrorCode.RemoteNotFound]: () => l10n.t("This account is not known here. Sign in again."),
  [ErrorCode.NotADirectory]: () => l10n.t("There is no folder that can be read at this place. Choose another one."),
  [ErrorCode.Nested]: () => l10n.t("The folder lies inside another media folder, or around one. Choose another one."),
  [ErrorCode.RemoteTaken]: () => l10n.t("Another folder is synced with this account already. Choose another account."),
  [ErrorCode.RootLocked]: () => l10n.t("Another Satchel service looks after this folder. Stop that one first."),
  [ErrorCode.Exists]: () => l10n.t("It is there already. Choose another name."),
  [ErrorCode.BadPath]: () => l10n.t("This name can't be used here. Choose another one."),
  [ErrorCode.PathNotFound]: () => l10n.t("The service knows no such file."),
  [ErrorCode.ChangedMeanwhile]: () => l10n.t("The file was changed meanwhile; nothing was done. Look again, then decide."),
  [ErrorCode.PlanDrifted]: () => l10n.t("Things stand differently by now; nothing was done. Look again, then decide."),
  [ErrorCode.NothingToUndo]: () => l10n.t("There is nothing to undo."),
  [ErrorCode.ConflictNotFound]: () => l10n.t("This conflict is resolved already."),
  [ErrorCode.HoldNotFound]: () => l10n.t("This question is answered already."),
  [ErrorCode.HoldChanged]: () => l10n.t("The question has changed meanwhile; nothing was done. Look again, then answer."),
  [ErrorCode.VersionNotFound]: () => l10n.t("This version is not kept any more."),
  [ErrorCode.Disk]: () => l10n.t("The disk refused. Look at its free space and at the permissions, then try again."),
  [ErrorCode.Unreachable]: () => l10n.t("The server can't be reached. Check its address and the network, then try again."),
  [ErrorCode.NotOurServer]: () => l10n.t("Something else than a sync server answers at this address. Check the address."),
  [ErrorCode.Auth]: () => l10n.t("The server does not accept the name, the password or this device's key. Sign in again."),
  [ErrorCode.Stopping]: () => l10n.t("The service is stopping. Try again in a moment."),
  [ErrorCode.Forbidden]: () => l10n.t("This window may not do that."),
  [ErrorCode.Busy]: () => l10n.t("The service has too much to do for this window. Try again in a moment."),
  [ErrorCode.TokenNotFound]: () => l10n.t("There is no such token."),
  [ErrorCode.TooMany]: () => l10n.t("There are as many as there may be. Remove one first."),
  [ErrorCode.FolderChanged]: () => l10n.t("The folder is set up differently by now; nothing was done. Look again, then decide."),
};

const PROBLEMS: ReadonlyMap<string, () => string> = new Map([
  ["empty", () => l10n.t("It is empty. It is synced once there is something in it.")],
  ["tooLarge", () => l10n.t("It is larger than the server takes. Make it smaller, or raise the limit of the server.")],
  ["tooLargeThere", () => l10n.t("It is larger than this device takes. It stays on the server.")],
  ["unreadable", () => l10n.t("It can't be read. Check its permissions.")],
  ["symlink", () => l10n.t("It is a link to another file. Links are not synced: put the file itself there.")],
  ["special", () => l10n.t("It is not a file that can be synced (a device or a pipe, say).")],
  ["badName", () => l10n.t("Other systems can't hold this name. Rename the file.")],
  ["nameTooLong", () => l10n.t("The name is too long for other systems. Rename the file.")],
  ["locked", () => l10n.t("Another program holds it. It is synced when that one lets go.")],
  ["unsettled", () => l10n.t("It is still being written. It is synced when it rests.")],
  ["twin", () => l10n.t("Another file has the same name but for capitals or accents. Rename one of the two.")],
  ["reserved", () => l10n.t("Windows keeps this name for itself. Rename the file.")],
  ["unsafeName", () => l10n.t("Its name on the server would lead out of the folder. Rename it there.")],
  ["secondName", () => l10n.t("The server has two names that are one on this disk. Rename one of the two.")],
  ["refused", () => l10n.t("The server refused it.")],
  ["missing", () => l10n.t("The server lists it and does not have it. Another device that has it can send it again.")],
  ["hashMismatch", () => l10n.t("It arrived damaged and was not taken. It is tried again.")],
  ["diskFull", () => l10n.t("There is no room for it on this disk. Make room; it is then fetched.")],
  ["applyFailed", () => l10n.t("It could not be put in its place. It is tried again.")],
]);

const FAULTS: ReadonlyMap<string, (name: string) => string> = new Map([
  ["offline", () => l10n.t("The server can't be reached. It is tried again by itself.")],
  ["retry", () => l10n.t("The server is busy or in trouble. It is tried again by itself.")],
  ["auth", () => l10n.t("The server does not accept this device's key any more. Sign in again.")],
  ["changed", () => l10n.t("The server's files changed during the sync. It is tried again by itself.")],
  ["refused", () => l10n.t("The server refused the request. Its own log tells why.")],
  ["notFound", () => l10n.t("The server does not have what it was asked for. Check its address.")],
  [
    "tooLarge",
    () =>
      l10n.t("What was to be sent or fetched is larger than the limits allow. Raise the limit of the server, or make the files smaller."),
  ],
  ["notOurServer", () => l10n.t("Something else than a sync server answers at this address. Check the address.")],
  ["protocol", () => l10n.t("The server's answer can't be understood. Check its address, and that its version is supported.")],
  ["quota", () => l10n.t("The server has no room left for this account. Make room there; it is tried again by itself.")],
  [
    "otherServer",
    (name: string) =>
      l10n.t(
        "Another server answers than the one that {0} was synced with. Nothing was changed. Answer the question in the Media view.",
        name,
      ),
  ],
  ["noRemote", (name: string) => l10n.t("{0} has no server yet. Sign in to one.", name)],
  [
    "rootMissing",
    (name: string) =>
      l10n.t("{0} is not there: moved, deleted, or on a disk that is not connected. Nothing was synced. Put it back.", name),
  ],
  [
    "rootReplaced",
    (name: string) => l10n.t("Another folder stands where {0} was. Nothing was synced. Answer the question in the Media view.", name),
  ],
  [
    "markerGone",
    (name: string) =>
      l10n.t(
        "Files of {0} are gone, and it may be an empty place for a disk that is not connected. Nothing was synced. Connect it, or answer the question in the Media view.",
        name,
      ),
  ],
  ["unreadable", (name: string) => l10n.t("{0} is there and can't be read. Nothing was synced. Check its permissions and the disk.", name)],
  ["notADirectory", (name: string) => l10n.t("{0} is no folder that can be read. Put it back.", name)],
  ["rootLocked", (name: string) => l10n.t("Another Satchel service looks after {0}. Stop that one first.", name)],
  [
    "nested",
    (name: string) =>
      l10n.t("Satchel's own files lie in {0}, or it lies among them. Nothing is synced until one of the two is somewhere else.", name),
  ],
  ["disk", () => l10n.t("The disk refused. Look at its permissions and at its health; it is tried again by itself.")],
  ["diskFull", () => l10n.t("There is no room left on this disk. Nothing was lost. Make room; it is tried again by itself.")],
  ["cancelled", () => l10n.t("The sync was cancelled; what it had finished stays.")],
  ["internal", () => l10n.t("The service met a fault of its own. Nothing was lost; it is tried again, and its log tells more.")],
]);

const CAUSES: ReadonlyMap<string, (file: string) => string> = new Map([
  ["conflict", (file: string) => l10n.t("{0} was changed on two devices; both versions are kept. Choose one in the Media view.", file)],
  ["ignoredHere", (file: string) => l10n.t("{0} stands only on this device: a rule leaves it alone.", file)],
  ["tooLargeHere", (file: string) => l10n.t("Other devices don't get {0}: it is too large.", file)],
  ["troubleHere", (file: string) => l10n.t("Other devices don't get {0}. The Media view tells why.", file)],
  ["remote", (file: string) => l10n.t("{0} is on the server and not fetched yet.", file)],
  ["remoteTrouble", (file: string) => l10n.t("{0} is on the server and can't be fetched. The Media view tells why.", file)],
  ["tooLarge", (file: string) => l10n.t("{0} is on the server and too large for this device.", file)],
  ["renamed", (file: string) => l10n.t("{0} is not here any more: the same file has another name now.", file)],
  ["deleted", (file: string) => l10n.t("{0} was deleted.", file)],
  ["ignored", (file: string) => l10n.t("{0} is not here: a rule leaves it alone, so it is not fetched either.", file)],
  ["never", (file: string) => l10n.t("{0} has never been seen, neither here nor on the server.", file)],
]);
