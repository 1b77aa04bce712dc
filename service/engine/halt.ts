import type { RunResult } from "../core/model.ts";

/** Ends a run before its end: nothing is lost, the summary says why. `retry`: trying again later may help. */
export class Halt extends Error {
  readonly result: RunResult;
  readonly fault: string;
  readonly retry: boolean;
  constructor(result: RunResult, fault: string, message: string, retry: boolean) {
    super(message);
    this.name = "Halt";
    this.result = result;
    this.fault = fault;
    this.retry = retry;
  }
}
