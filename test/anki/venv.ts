import path from "node:path";

import { findVenv, type Venv } from "../support/venv.ts";

export type Anki = Venv;

/** The Python that has the real Anki, or why there is none. */
export async function findAnki(): Promise<Anki> {
  const requirements = path.join(import.meta.dirname, "requirements.txt");
  const found = await findVenv({ name: "anki", requirements, probe: "import anki.collection, anki.syncserver" });
  return "missing" in found ? { missing: `the real Anki can't be had: ${found.missing}` } : found;
}
