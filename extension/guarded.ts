import * as vscode from "vscode";

import { logTrouble } from "./log-words.ts";
import type { Parts } from "./parts.ts";
import { sentenceOf } from "./sentences.ts";

const { l10n } = vscode;

/** A command that fails says so once, with a way to the log. */
export function guarded<Args extends readonly unknown[]>(
  { log }: Pick<Parts, "log">,
  act: (...args: Args) => Promise<void> | void,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      await act(...args);
    } catch (error) {
      logTrouble(log, "error", "a command failed", error);
      // Not waited for: a message may stand there for ever.
      void showTrouble(log, sentenceOf(error));
    }
  };
}

async function showTrouble(log: vscode.LogOutputChannel, message: string): Promise<void> {
  const showLog = l10n.t("Show Log");
  const chosen = await vscode.window.showErrorMessage(`Satchel: ${message}`, showLog);
  if (chosen === showLog) log.show();
}
