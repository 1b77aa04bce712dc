import { checkPath } from "../core/paths.ts";
import { toWire } from "../core/wire-names.ts";
import { EngineError } from "./errors.ts";
import type { FolderParts } from "./parts.ts";

/** A path as a person or a program gave it, in the form that the trees use. @throws EngineError badPath */
export function legalPath(path: string): string {
  const clean = path.normalize("NFC");
  const verdict = checkPath(clean);
  if (verdict.kind === "problem") throw new EngineError("badPath", `${path} can't be a path in a media folder: ${verdict.detail}`);
  return clean;
}

/** The rules leave this path alone: what is put there goes nowhere, and nobody would say so. @throws EngineError badPath */
export function refuseIgnored({ ignoredBy }: Pick<FolderParts, "ignoredBy">, path: string): void {
  const rule = ignoredBy(path);
  if (rule === null) return;
  const detail = `${path} would not be synced: it is left alone by the ${rule}. Choose another name, or change the rule.`;
  throw new EngineError("badPath", detail);
}

/** A new name under which a file would never be synced: it would go from the other devices. @throws EngineError badPath */
export function refuseUnsynced(parts: Pick<FolderParts, "ignoredBy">, path: string): void {
  refuseIgnored(parts, path);
  const wire = toWire(path);
  if (wire.kind === "problem") throw new EngineError("badPath", `${path} would not be synced: ${wire.detail}`);
}
