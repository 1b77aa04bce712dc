import type { ResultOf } from "../../protocol/api/table.ts";

/** One finding of `doctor`. Advice stands where something is to be done. */
export type Check = ResultOf<"service/doctor">["checks"][number];

export function ok(name: string, detail: string): Check {
  return { name, result: "ok", detail, advice: null };
}

export function warning(name: string, detail: string, advice: string): Check {
  return { name, result: "warning", detail, advice };
}

export function failed(name: string, detail: string, advice: string): Check {
  return { name, result: "failed", detail, advice };
}
