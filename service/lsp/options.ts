/** What the editor tells of itself in `initialize`: its abilities, and what it does by itself already. */
import type { InitializeParams } from "vscode-languageserver";
import * as z from "zod";

import { wordsOf, type Words } from "./words.ts";

/** What VS Code's built-in Markdown feature covers, each for paths in Markdown and HTML but not for embeds and sounds. */
const FEATURES = ["completion", "diagnostics", "links", "preview", "rename"] as const;
export type Feature = (typeof FEATURES)[number];

const given = z.object({
  /** Features that the editor has itself: ours stand down where the two would double. */
  standDown: z.array(z.enum(FEATURES)).catch([]),
  /** How hovers show an image: by its `file:` address, inside the hover's text (small files), or not at all. */
  preview: z.enum(["file", "data", "none"]).catch("file"),
  /** Pixels, for editors that understand `|width=` behind an image's address (VS Code). */
  previewWidth: z.int().min(1).max(4000).nullable().catch(null),
  /** Flags for the workspace's notes that are not open, too. */
  workspaceDiagnostics: z.boolean().catch(true),
  /** Ask whether links shall follow a file that was renamed on disk or on another device. */
  offerRenames: z.boolean().catch(true),
});

export type SessionOptions = {
  readonly standDown: ReadonlySet<Feature>;
  readonly preview: "file" | "data" | "none";
  readonly previewWidth: number | null;
  readonly offerRenames: boolean;
  readonly workspaceDiagnostics: boolean;
  /** Tells of workspace folders that come and go. */
  readonly workspaceFolders: boolean;
  /** Tells of files that change on disk, when asked to. */
  readonly watches: boolean;
  /** The editor shows Markdown in hovers. */
  readonly markdown: boolean;
  /** The editor takes edits with versions, and file renames among them. */
  readonly documentChanges: boolean;
  readonly renamesFiles: boolean;
  /** `workspace/applyEdit`. */
  readonly appliesEdits: boolean;
  /** `window/showMessageRequest` with buttons. */
  readonly asks: boolean;
  /** In the language that it told. */
  readonly words: Words;
};

export function optionsOf({ capabilities, initializationOptions, locale }: InitializeParams): SessionOptions {
  const told: unknown = initializationOptions;
  const { standDown, preview, previewWidth, offerRenames, workspaceDiagnostics } = given.parse(
    typeof told === "object" && told !== null ? told : {},
  );
  const { workspaceEdit, applyEdit, didChangeWatchedFiles, workspaceFolders } = capabilities.workspace ?? {};
  return {
    standDown: new Set(standDown),
    preview,
    previewWidth,
    offerRenames,
    workspaceDiagnostics,
    workspaceFolders: workspaceFolders === true,
    watches: didChangeWatchedFiles?.dynamicRegistration === true,
    markdown: capabilities.textDocument?.hover?.contentFormat?.includes("markdown") ?? false,
    documentChanges: workspaceEdit?.documentChanges === true,
    renamesFiles: workspaceEdit?.documentChanges === true && workspaceEdit.resourceOperations?.includes("rename") === true,
    appliesEdits: applyEdit === true,
    asks: capabilities.window?.showMessage !== undefined,
    words: wordsOf(locale),
  };
}
