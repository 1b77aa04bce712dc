/** Bytes of the service as read-only documents, for the diff editor. */
import * as vscode from "vscode";
import * as z from "zod/mini";

import type { Session } from "../session.ts";
import { readBytes, type Bytes } from "./bytes.ts";

const SCHEME = "satchel";

/** What a document's address says beside its path. `about`: what it is shown for, such as `conflict:3`. */
const query = z.strictObject({
  folder: z.string(),
  path: z.string(),
  sha1: z.string().check(z.regex(/^[0-9a-f]{40}$/)),
  sizeBytes: z.int(),
  about: z.string(),
});

/** The path gives the language and the icon; nothing is read until the document is opened. */
export function documentUri(shownPath: string, bytes: Bytes, about: string): vscode.Uri {
  const { folder, path, sha1, sizeBytes } = bytes;
  return vscode.Uri.from({ scheme: SCHEME, path: `/${shownPath}`, query: JSON.stringify({ folder, path, sha1, sizeBytes, about }) });
}

/** What a document of ours is shown for; null: it is none. */
export function aboutOf(uri: vscode.Uri | undefined): string | null {
  return uri === undefined ? null : (parsed(uri)?.about ?? null);
}

export function registerDocuments(context: vscode.ExtensionContext, session: Session): void {
  const provider: vscode.TextDocumentContentProvider = {
    provideTextDocumentContent: async (uri) => {
      const asked = parsed(uri);
      if (asked === null) throw new Error(`${uri.toString(true)} names no bytes of Satchel's.`);
      return new TextDecoder("utf-8").decode(await readBytes(session, asked));
    },
  };
  context.subscriptions.push(vscode.workspace.registerTextDocumentContentProvider(SCHEME, provider));
}

function parsed(uri: vscode.Uri): z.infer<typeof query> | null {
  if (uri.scheme !== SCHEME) return null;
  try {
    const result = query.safeParse(JSON.parse(uri.query));
    return result.success ? result.data : null;
  } catch (error) {
    // An address that somebody made up.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
