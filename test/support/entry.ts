import path from "node:path";

/** What tests start as `satchel`: the sources, or the bundle that `SATCHEL_ENTRY` names. */
export function satchelEntry(): string {
  return process.env["SATCHEL_ENTRY"] ?? path.join(import.meta.dirname, "..", "..", "service", "main.ts");
}
