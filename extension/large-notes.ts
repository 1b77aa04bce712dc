/** Notes that are too large for the connection to the service: left alone while they are edited, and told so. */
import * as vscode from "vscode";
import type { Middleware } from "vscode-languageclient/node";

import { fitsMessage } from "./message-size.ts";
import { sizeText } from "./words.ts";

const { l10n } = vscode;

/** Says in a note, once and until it is closed, that there is no help in it. */
export function tellLargeNotes(context: vscode.ExtensionContext): (note: vscode.TextDocument, isLarge: boolean) => void {
  const told = vscode.languages.createDiagnosticCollection("satchel-large");
  context.subscriptions.push(told);
  return (note, isLarge) => {
    if (!isLarge) return told.delete(note.uri);
    const size = sizeText(Buffer.byteLength(note.getText()));
    const message = l10n.t(
      "This note is too large ({0}) for Satchel's hovers, completion and quick fixes. Missing media is flagged as the note was last saved.",
      size,
    );
    const diagnostic = new vscode.Diagnostic(new vscode.Range(0, 0, 0, 0), message, vscode.DiagnosticSeverity.Information);
    diagnostic.source = "satchel";
    diagnostic.code = "tooLargeNote";
    told.set(note.uri, [diagnostic]);
  };
}

/** A note that grows too large is closed for the server, which then knows nothing of it, rather than knowing it wrongly. */
export function leavingOutLarge(
  leaveOut: (uri: string) => Promise<void>,
  tell: (note: vscode.TextDocument, isLarge: boolean) => void,
): Middleware {
  const leftOut = new Set<string>();
  const leave = (document: vscode.TextDocument): void => {
    leftOut.add(document.uri.toString());
    tell(document, true);
  };
  return {
    didOpen: async (document, next) => {
      if (fitsMessage(document.getText())) await next(document);
      else leave(document);
    },
    didChange: async (event, next) => {
      const uri = event.document.uri.toString();
      if (leftOut.has(uri)) return;
      if (fitsMessage(event.document.getText())) return await next(event);
      leave(event.document);
      await leaveOut(uri);
    },
    didSave: async (document, next) => {
      if (!leftOut.has(document.uri.toString())) await next(document);
    },
    didClose: async (document, next) => {
      if (leftOut.delete(document.uri.toString())) tell(document, false);
      else await next(document);
    },
  };
}
