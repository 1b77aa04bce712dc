/** Names that meet every rule badly, and the property runner of the name tests. */
import * as fc from "fast-check";

const RUNS = 5000;
/** Replay: SATCHEL_SEED=… SATCHEL_PATH=… node --test test/names.test.ts */
export function check<T>(property: fc.IRawProperty<T, false>): void {
  const { SATCHEL_SEED: seed, SATCHEL_PATH: path } = process.env;
  fc.assert(property, {
    numRuns: RUNS,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(path === undefined ? {} : { path, endOnFailure: true }),
  });
}

/** Pieces that meet each other badly: halves of escapes, what Anki deletes, combining marks, new emoji, device names, spaces and dots. */
export const piece = fc.oneof(
  fc.constantFrom(
    ...Array.from('aAzé09~_-. /[]<>:"?*^|+'),
    "~2f_",
    "~7e_",
    "2f_",
    "7e",
    "~",
    "_",
    "~0",
    "~110000_",
    "~d800_",
    "~002f_",
    "~2F_",
  ),
  fc.constantFrom(
    "con",
    "CON",
    "aux",
    "com1",
    "lpt9",
    "nul.",
    ".png",
    "..",
    "  ",
    "\u00a0",
    "\u0301",
    "\u0338",
    "\u{1f970}",
    "\u{1f600}",
    "\u{10ec0}",
  ),
  fc.constantFrom(
    "e\u0301",
    "\u212b",
    "\u1100\u1161",
    "\u200d",
    "\ufeff",
    "\u202e",
    "\u{1e030}",
    "\u0897",
    "ß",
    "ﬁ",
    "İ",
    "K",
    "x".repeat(40),
    "ü".repeat(50),
  ),
  fc.string({ unit: "grapheme", maxLength: 3 }),
  fc.string({ unit: "binary", maxLength: 3 }),
);
export const anyText = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
