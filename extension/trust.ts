import * as vscode from "vscode";

/** What a workspace that nobody trusts may not do: change files. @throws Error for the user */
export function needTrust(): void {
  if (!vscode.workspace.isTrusted)
    throw new Error(vscode.l10n.t("This folder is not trusted: Satchel shows media here, but changes no files. Trust it, then try again."));
}
