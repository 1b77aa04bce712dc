/** What `main.ts` hands to every part of the extension. */
import type * as vscode from "vscode";

import type { Board } from "./board.ts";
import type { Remembered } from "./remembered.ts";
import type { Session } from "./session.ts";

export type Parts = {
  readonly session: Session;
  /** The service's folders as last told. */
  readonly board: Board;
  readonly log: vscode.LogOutputChannel;
  readonly remembered: Remembered;
};
