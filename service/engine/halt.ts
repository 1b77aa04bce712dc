import { RUN_FAULTS, type RunFault } from "../../protocol/run-faults.ts";
import type { RunResult } from "../core/model.ts";
import type { EngineError } from "./errors.ts";

/** Ends a run before its end: nothing is lost, the summary says why. `retry`: trying again later may help. */
export class Halt extends Error {
  readonly result: RunResult;
  readonly fault: RunFault;
  readonly retry: boolean;
  constructor(result: RunResult, fault: RunFault, message: string, retry: boolean) {
    super(message);
    this.name = "Halt";
    this.result = result;
    this.fault = fault;
    this.retry = retry;
  }
}

/** The word for a folder that could not even begin. */
export function runFaultOf({ fault }: EngineError): RunFault {
  return RUN_FAULTS.find((word) => word === fault) ?? "internal";
}
