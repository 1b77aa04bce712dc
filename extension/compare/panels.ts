/** The windows' compare pages: one per subject, sent what it shows, told what is pressed. */
import { randomBytes } from "node:crypto";

import * as vscode from "vscode";

import { guarded } from "../guarded.ts";
import type { Parts } from "../parts.ts";
import { readBytes, SHOWN_BYTES_MAX } from "./bytes.ts";
import { compareHtml } from "./html.ts";
import type { Kind } from "./kinds.ts";
import { pageMessage, type CompareSide, type CompareWords, type ShowMessage } from "./messages.ts";
import type { CompareHalf, Subject } from "./subject.ts";

const { l10n } = vscode;

type Open = { readonly panel: vscode.WebviewPanel; subject: Subject; message: Promise<ShowMessage> };

export class ComparePanels implements vscode.Disposable {
  readonly #context: vscode.ExtensionContext;
  readonly #parts: Parts;
  readonly #open = new Map<string, Open>();

  constructor(context: vscode.ExtensionContext, parts: Parts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Shows the subject, in the page that shows it already if there is one. `where`: default, the active group. */
  show(subject: Subject, kind: Kind, where: vscode.ViewColumn = vscode.ViewColumn.Active, preserveFocus = false): void {
    const message = this.#messageFor(subject, kind, !preserveFocus);
    const there = this.#open.get(subject.about);
    if (there !== undefined) {
      there.subject = subject;
      there.message = message;
      there.panel.title = subject.title;
      there.panel.reveal(undefined, preserveFocus);
      void this.#send(there);
      return;
    }
    const root = vscode.Uri.joinPath(this.#context.extensionUri, "dist", "compare");
    const panel = vscode.window.createWebviewPanel(
      "satchel.compare",
      subject.title,
      { viewColumn: where, preserveFocus },
      { enableScripts: true, localResourceRoots: [root] },
    );
    const open: Open = { panel, subject, message };
    this.#open.set(subject.about, open);
    panel.onDidDispose(() => this.#open.delete(subject.about));
    panel.webview.onDidReceiveMessage((said: unknown) => this.#onMessage(open, said));
    const address = (file: string): string => panel.webview.asWebviewUri(vscode.Uri.joinPath(root, file)).toString();
    panel.webview.html = compareHtml({
      nonce: randomBytes(18).toString("base64url"),
      cspSource: panel.webview.cspSource,
      script: address("page.js"),
      style: address("compare.css"),
      language: vscode.env.language,
    });
  }

  /** Closes the page of a subject that is settled. */
  close(about: string): void {
    this.#open.get(about)?.panel.dispose();
  }

  dispose(): void {
    for (const { panel } of this.#open.values()) panel.dispose();
  }

  #onMessage(open: Open, said: unknown): void {
    const parsed = pageMessage.safeParse(said);
    if (!parsed.success) return this.#parts.log.warn("the compare page said something that it never says; nothing was done");
    const message = parsed.data;
    if (message.kind === "ready") return void this.#send(open);
    const action = open.subject.actions.find(({ id }) => id === message.id);
    if (action !== undefined) void guarded(this.#parts, action.act)();
  }

  /** The page asks again whenever it was hidden and is shown. */
  async #send(open: Open): Promise<void> {
    const { message } = open;
    await guarded(this.#parts, async () => {
      const ready = await message;
      // Another subject may have taken the page meanwhile.
      if (open.message === message) await open.panel.webview.postMessage(ready);
    })();
  }

  async #messageFor({ title, left, right, actions }: Subject, kind: Kind, focus: boolean): Promise<ShowMessage> {
    const as = kind.as === "text" ? "facts" : kind.as;
    const [mine, theirs] = await Promise.all([this.#side(left, kind), this.#side(right, kind)]);
    return {
      kind: "show",
      title,
      as,
      left: mine,
      right: theirs,
      actions: actions.map(({ id, label, hint }) => ({ id, label, hint })),
      focus,
      words: compareWords(),
    };
  }

  async #side({ label, bytes, facts }: CompareHalf, { as, mime }: Kind): Promise<CompareSide> {
    const isShown = bytes !== null && bytes.sizeBytes <= SHOWN_BYTES_MAX && as !== "facts" && as !== "text";
    return { label, mime, facts: [...facts], bytes: isShown ? await readBytes(this.#parts.session, bytes) : null };
  }
}

function compareWords(): CompareWords {
  return {
    views: l10n.t("How to compare"),
    sideBySide: l10n.t("Side by Side"),
    swipe: l10n.t("Swipe"),
    onion: l10n.t("Onion Skin"),
    difference: l10n.t("Difference"),
    divider: l10n.t("Where the one picture ends and the other begins"),
    opacity: l10n.t("How much of the second picture shines through"),
    dimensions: l10n.t("{0} × {1} pixels", "{0}", "{1}"),
    noPicture: l10n.t("The editor can't show these bytes as a picture."),
    noBytes: l10n.t("These bytes are too large to be shown, or not kept any more."),
    same: l10n.t("No pixel differs."),
    differing: l10n.t("{0} % of the pixels differ.", "{0}"),
    otherSize: l10n.t("The pictures are not equally large."),
  };
}
