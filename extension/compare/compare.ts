/** Compares two byte strings of one file the way people can see them: pictures, sounds, text, or what is known. */
import path from "node:path";

import * as vscode from "vscode";

import type { Parts } from "../parts.ts";
import { readHead, SHOWN_BYTES_MAX } from "./bytes.ts";
import { aboutOf, documentUri, registerDocuments } from "./documents.ts";
import { hasSource, kindOf, type Kind } from "./kinds.ts";
import { ComparePanels } from "./panels.ts";
import type { CompareHalf, Subject } from "./subject.ts";

const { l10n } = vscode;
/** Enough to tell text from other bytes. */
const HEAD_BYTES = 8192;
const TEXT_BYTES_MAX = 8 * 1024 * 1024;

export type ShowOptions = {
  readonly where?: vscode.ViewColumn;
  readonly preserveFocus?: boolean;
  /** Look at the source of a drawing instead of the drawing. */
  readonly source?: boolean;
};
export type Comparer = {
  show(subject: Subject, options?: ShowOptions): Promise<void>;
  /** Closes whatever shows this subject. */
  close(about: string): Promise<void>;
};

export function registerCompare(context: vscode.ExtensionContext, parts: Parts): Comparer {
  const panels = new ComparePanels(context, parts);
  context.subscriptions.push(panels);
  registerDocuments(context, parts.session);
  const show = async (subject: Subject, options: ShowOptions = {}): Promise<void> => {
    const kind = await kindFor(parts, subject);
    if (kind.as === "text" || (options.source === true && hasSource(kind))) {
      await showDiff(subject, options);
      return;
    }
    const source = { id: "source", label: l10n.t("Compare Source"), hint: l10n.t("The drawings' text in the diff editor") };
    const act = async (): Promise<void> => await show(subject, { source: true });
    const actions = hasSource(kind) ? [{ ...source, act }, ...subject.actions] : subject.actions;
    panels.show({ ...subject, actions }, kind, options.where, options.preserveFocus);
  };
  return {
    show,
    close: async (about) => {
      panels.close(about);
      const tabs = vscode.window.tabGroups.all.flatMap(({ tabs: all }) => all);
      const settled = tabs.filter(({ input }) => input instanceof vscode.TabInputTextDiff && aboutOf(input.original) === about);
      if (settled.length > 0) await vscode.window.tabGroups.close(settled, true);
    },
  };
}

async function kindFor({ session }: Parts, { path: name, left, right }: Subject): Promise<Kind> {
  const known = kindOf(name, []);
  const halves = [left.bytes, right.bytes].filter((bytes) => bytes !== null);
  const isLarge = halves.some(({ sizeBytes }) => sizeBytes > (known.as === "text" ? TEXT_BYTES_MAX : SHOWN_BYTES_MAX));
  if (known.as !== "facts") return isLarge || halves.length < 2 ? { ...known, as: known.as === "text" ? "facts" : known.as } : known;
  if (isLarge || halves.length < 2 || halves.some(({ sizeBytes }) => sizeBytes > TEXT_BYTES_MAX)) return known;
  return kindOf(name, await Promise.all(halves.map(async (bytes) => await readHead(session, bytes, HEAD_BYTES))));
}

async function showDiff({ about, title, path: name, left, right }: Subject, options: ShowOptions): Promise<void> {
  const uriOf = ({ label, bytes }: CompareHalf): vscode.Uri => {
    if (bytes === null) throw new Error(l10n.t("The bytes of “{0}” are not kept any more: there is nothing to compare with.", label));
    // Older editors open what ends in `.svg` as a picture, in a comparison too.
    const shownName = hasSource(kindOf(name, [])) ? `${name}.xml` : name;
    return documentUri(path.posix.join(label.replaceAll("/", "-"), shownName), bytes, about);
  };
  await vscode.commands.executeCommand("vscode.diff", uriOf(left), uriOf(right), title, {
    preview: true,
    preserveFocus: options.preserveFocus ?? false,
    ...(options.where === undefined ? {} : { viewColumn: options.where }),
  });
}
