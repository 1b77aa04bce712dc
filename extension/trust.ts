import * as vscode from "vscode";

/** What a workspace that nobody trusts may not do: change files. @throws Error for the user */
export function needTrust(): void {
  if (!vscode.workspace.isTrusted)
    throw new Error(vscode.l10n.t("This folder is not trusted: Satchel shows media here, but changes no files. Trust it, then try again."));
}

/** A command that asks for trust first: the manifest greys it out, but an item of a view, a link or another extension can call it all the same. */
export function trusted<Args extends readonly unknown[]>(act: (...args: Args) => Promise<void>): (...args: Args) => Promise<void> {
  return async (...args) => {
    needTrust();
    await act(...args);
  };
}

/** The same for what begins in the editor's own menus and bulbs: says it once. True: it may go on. */
export function mayChangeFiles(): boolean {
  try {
    needTrust();
    return true;
  } catch (error) {
    void vscode.window.showErrorMessage(`Satchel: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}
