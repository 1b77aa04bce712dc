/** What the command line tells the shell (DESIGN §8). Where several hold, the first of 6, 4, 7, 3, 1, 0 wins. */
import type { FolderStatus, RunSummary } from "../../protocol/api/model.ts";
import { ErrorCode } from "../../protocol/errors.ts";

export const Exit = {
  InSync: 0,
  Unfinished: 1,
  Usage: 2,
  Retry: 3,
  Fatal: 4,
  NoService: 5,
  Auth: 6,
  Held: 7,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** For people, in the order of the codes. */
export const EXIT_CODES: readonly { readonly code: Exit; readonly meaning: string }[] = [
  { code: Exit.InSync, meaning: "In sync." },
  { code: Exit.Unfinished, meaning: "Done, with conflicts or problems." },
  { code: Exit.Usage, meaning: "Usage or configuration." },
  { code: Exit.Retry, meaning: "Some transfers failed; a retry may help." },
  { code: Exit.Fatal, meaning: "Fatal." },
  { code: Exit.NoService, meaning: "The service can't be reached." },
  { code: Exit.Auth, meaning: "Authentication." },
  { code: Exit.Held, meaning: "Held by the guard: `satchel guard`." },
];

const FIRST_THAT_HOLDS: readonly Exit[] = [Exit.Auth, Exit.Fatal, Exit.Held, Exit.Retry, Exit.Unfinished];
/** Words of a failed run that heal by waiting. */
const HEALS = new Set(["offline", "retry", "cancelled", "quota", "changed"]);

export function exitOfRuns(runs: readonly Pick<RunSummary, "result" | "fault">[]): Exit {
  return first(runs.map(exitOfRun));
}

export function exitOfStatus(folders: readonly StatusWords[]): Exit {
  return first(folders.map(exitOfFolder));
}

/** For an error answer of the service. */
export function exitOfCode(code: number): Exit {
  switch (code) {
    case ErrorCode.Auth:
    case ErrorCode.Forbidden:
      return Exit.Auth;
    case ErrorCode.InternalError:
    case ErrorCode.Disk:
    case ErrorCode.RootLocked:
    case ErrorCode.NotOurServer:
      return Exit.Fatal;
    case ErrorCode.Unreachable:
    case ErrorCode.Busy:
    case ErrorCode.PlanDrifted:
    case ErrorCode.HoldChanged:
    case ErrorCode.ChangedMeanwhile:
    case ErrorCode.RequestCancelled:
      return Exit.Retry;
    case ErrorCode.Stopping:
      return Exit.NoService;
    case ErrorCode.NothingToUndo:
      return Exit.Unfinished;
    default:
      return Exit.Usage;
  }
}

function exitOfRun({ result, fault }: Pick<RunSummary, "result" | "fault">): Exit {
  switch (result) {
    case "insync":
      return Exit.InSync;
    case "conflicts":
    case "problems":
      return Exit.Unfinished;
    case "held":
      return Exit.Held;
    case "failed":
      return exitOfFault(fault);
  }
}

function exitOfFault(fault: string | null): Exit {
  if (fault === "auth") return Exit.Auth;
  return fault !== null && HEALS.has(fault) ? Exit.Retry : Exit.Fatal;
}

type StatusWords = Pick<FolderStatus, "state" | "fault" | "conflicts" | "problems" | "held">;

function exitOfFolder({ state, fault, conflicts, problems, held }: StatusWords): Exit {
  if (state === "error") return exitOfFault(fault);
  if (state === "held" || held > 0) return Exit.Held;
  if (state === "offline") return Exit.Retry;
  return conflicts > 0 || problems > 0 ? Exit.Unfinished : Exit.InSync;
}

function first(codes: readonly Exit[]): Exit {
  return FIRST_THAT_HOLDS.find((code) => codes.includes(code)) ?? Exit.InSync;
}
