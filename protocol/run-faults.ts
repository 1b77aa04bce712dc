/**
 * Why a run failed, or a folder is offline or at fault: a closed word, so that front ends can say it in any language. What it is about stands
 * beside it (the folder's root and remote, when it is tried again).
 */
export const RUN_FAULTS = [
  // The remote: can't be reached, is busy, refuses, or is none.
  "offline",
  "retry",
  "auth",
  "changed",
  "refused",
  "notFound",
  "tooLarge",
  "notOurServer",
  "protocol",
  "quota",
  "otherServer",
  "noRemote",
  // The folder's root.
  "rootMissing",
  "rootReplaced",
  "markerGone",
  "unreadable",
  "notADirectory",
  "rootLocked",
  "nested",
  // This machine, and the run itself.
  "disk",
  "diskFull",
  "cancelled",
  "internal",
] as const;
export type RunFault = (typeof RUN_FAULTS)[number];
