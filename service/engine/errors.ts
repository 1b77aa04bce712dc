// What the engine refuses, by a closed word, so that every front end can tell one from another.
/** `fault` becomes a code of protocol/errors.ts in rpc/failures.ts; the message is for people. */
export class EngineError extends Error {
  readonly fault:
    | "folderNotFound"
    | "folderPaused"
    | "noRemote"
    | "remoteNotFound"
    | "notADirectory"
    | "nested"
    | "remoteTaken"
    | "rootLocked"
    | "auth"
    | "unreachable"
    | "notOurServer"
    | "conflictNotFound"
    | "holdChanged"
    | "holdNotFound"
    | "versionNotFound"
    | "pathNotFound"
    | "badPath"
    | "changedMeanwhile"
    | "nothingToUndo"
    | "planDrifted"
    | "exists"
    | "disk"
    | "stopping";
  constructor(fault: EngineError["fault"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EngineError";
    this.fault = fault;
  }
}
