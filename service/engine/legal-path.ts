import { checkPath } from "../core/paths.ts";
import { EngineError } from "./facade.ts";

/** A path as a person or a program gave it, in the form that the trees use. @throws EngineError badPath */
export function legalPath(path: string): string {
  const clean = path.normalize("NFC");
  const verdict = checkPath(clean);
  if (verdict.kind === "problem") throw new EngineError("badPath", `${path} can't be a path in a media folder: ${verdict.detail}`);
  return clean;
}
