/** Whether a service that nobody uses ends itself (DESIGN §11 "Process and API"). */

/** From the end of the last connection to the end of the service. */
const IDLE_EXIT_MS = 60_000;

export type IdleFacts = {
  readonly platform: string;
  /** Runs inside the editor's own program: on Windows that file can't be replaced by an update meanwhile. */
  readonly insideEditor: boolean;
  readonly clients: number;
  /** A run is under way. */
  readonly running: boolean;
  /** Since when nobody is connected. */
  readonly idleMs: number;
};

/** Only on Windows and only inside the editor: anywhere else a service goes on syncing with every window closed, which is what it is for. */
export function endsWhenIdle({ platform, insideEditor, clients, running, idleMs }: IdleFacts): boolean {
  return platform === "win32" && insideEditor && clients === 0 && !running && idleMs >= IDLE_EXIT_MS;
}
