/** Why media that a note names is missing: the sentence, and a few words for a list. By the check's data, so that no language says less. */
import * as vscode from "vscode";

import { causeSentence, isEnglish, problemSentence } from "../sentences.ts";
import { agoText, dateText, problemText, shown, sizeText } from "../words.ts";
import type { Missing } from "./findings.ts";

const { l10n } = vscode;
type Deletion = NonNullable<Missing["facts"]["deletion"]>;

/** Cause, date, device, size and what is kept, as far as they are known. */
export function missingSentence({ path, cause, detail, facts }: Missing): string {
  const file = shown(path);
  if (isEnglish()) return shown(detail);
  const { sizeBytes, renamedTo, ignoredBy, problem, deletion } = facts;
  if (cause === "remote" && sizeBytes !== null) return l10n.t("{0} is on the server ({1}) and not fetched yet.", file, sizeText(sizeBytes));
  if (cause === "renamed" && renamedTo !== null)
    return l10n.t("{0} is not here any more: the same file is now {1}.", file, shown(renamedTo));
  if (cause === "ignored" && ignoredBy !== null)
    return l10n.t("{0} is not here: it is left alone by {1}, so it is not fetched either.", file, shown(ignoredBy));
  if (cause === "deleted" && deletion !== null) return [deletedSentence(file, deletion), keptSentence(facts)].join(" ").trimEnd();
  const base = causeSentence(cause, file, detail);
  return problem === null ? base : `${base} ${problemSentence(problem, "")}`.trimEnd();
}

function deletedSentence(file: string, { where, by, atMs }: Deletion): string {
  const date = atMs === null ? null : dateText(atMs);
  if (date === null)
    return where === "elsewhere" ? l10n.t("{0} was deleted on another device.", file) : causeSentence("deleted", file, file);
  switch (where) {
    case "here":
      return l10n.t("{0} was deleted on this device on {1}.", file, date);
    case "command":
      return l10n.t("{0} was deleted by a command of Satchel on this device on {1}.", file, date);
    case "rebuild":
      return l10n.t("{0} was deleted while the state was lost, at the latest on {1}.", file, date);
    case "told":
      return by === null
        ? l10n.t("{0} was deleted on another device on {1}.", file, date)
        : l10n.t("{0} was deleted by {1} on {2}.", file, shown(by), date);
    case "elsewhere":
      return l10n.t("{0} was deleted on another device; that arrived here on {1}.", file, date);
  }
}

function keptSentence({ kept }: Missing["facts"]): string {
  return kept === null ? "" : l10n.t("Its bytes are kept ({0}).", sizeText(kept.sizeBytes));
}

/** For the line of a list, where the name stands already. */
export function missingText({ cause, facts }: Missing): string {
  const { sizeBytes, renamedTo, problem, deletion } = facts;
  switch (cause) {
    case "remote":
      return sizeBytes === null ? l10n.t("not fetched yet") : l10n.t("not fetched yet, {0}", sizeText(sizeBytes));
    case "remoteTrouble":
      return problem === null ? l10n.t("can't be fetched") : problemText(problem);
    case "tooLarge":
      return l10n.t("too large");
    case "renamed":
      return renamedTo === null ? l10n.t("renamed") : l10n.t("now {0}", shown(renamedTo));
    case "deleted":
      return deletion === null ? l10n.t("deleted") : deletedText(deletion);
    case "ignored":
      return l10n.t("left alone by a rule");
    case "never":
      return l10n.t("never seen");
    case "present":
    case "conflict":
    case "ignoredHere":
    case "tooLargeHere":
    case "troubleHere":
      return "";
  }
}

function deletedText({ where, by, atMs }: Deletion): string {
  const ago = atMs === null ? "" : agoText(atMs);
  const who =
    where === "told" && by !== null
      ? l10n.t("deleted by {0}", shown(by))
      : where === "here" || where === "command"
        ? l10n.t("deleted here")
        : where === "rebuild"
          ? l10n.t("deleted")
          : l10n.t("deleted on another device");
  return ago === "" ? who : `${who}, ${ago}`;
}
