import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";

import { isNormalised } from "../../service/core/anki-names.ts";
import { fromWire, toWire } from "../../service/core/wire-names.ts";
import type { OfficialDevice } from "./device.ts";

const NAMES = 3000;
/** What each of Anki's rules is about, and neighbours that it must leave alone. */
const PIECES = [
  ..."[]<>:\"?*^\\|`~%#;,=+()!$&@{}' ._-aeoxAEOZ059".split(""),
  "\u00a0",
  "\u0301",
  "\u0308",
  "\u0323",
  "\u1100\u1161",
  "\u212b",
  "\u0340",
  "\u2126",
  "é",
  "e\u0301",
  "ﬁ",
  "ß",
  "ı",
  "\u0001",
  "\u007f",
  "\u0085",
  "\u200b",
  "\u200d",
  "\ufeff",
  "\u202e",
  "\u2028",
  "\ufffd",
  "\ufdd0",
  "\u{1fffe}",
  "\ue000",
  "😀",
  "🥰",
  "\u20bf",
  "\u20c0",
  "\u9fea",
  "\u9feb",
  "\u{1f6d4}",
  "\u{1f6d5}",
  "\u0560",
  "\u08b4",
  "\u08bf",
  "𝒳",
  "𠀀",
  "\u{2ebf0}",
  "\u0378",
  "漢",
  "日本",
  "con",
  "CON.",
  "nul",
  "com1",
  "LPT9",
  "aux",
  ".png",
  ".tar.gz",
  "~2f_",
  "~25_",
  "n".repeat(60),
  "é".repeat(28),
  "漢".repeat(19),
];

function randomName(slashes: boolean): string {
  let name = "";
  for (let left = 1 + randomInt(7); left > 0; left--)
    name += slashes && randomInt(8) === 0 ? "/" : (PIECES[randomInt(PIECES.length)] ?? "");
  return name;
}

const fits = (name: string): boolean =>
  name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name) && Buffer.byteLength(name) <= 255;

/** What the real client takes of the files in its folder: its database after a sync, deletions left out. */
async function taken(device: OfficialDevice): Promise<ReadonlySet<string>> {
  const synced = await device.sync();
  assert.ok(synced.ok, synced.detail);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own driver's rows
  const rows = (await device.ask("rows")) as readonly (readonly [name: string, sha1: string | null, dirty: number])[];
  return new Set(rows.filter(([, sha1]) => sha1 !== null).map(([name]) => name));
}

async function fill(device: OfficialDevice, names: Iterable<string>): Promise<void> {
  const folder = String(await device.ask("media"));
  for (const name of names) writeFileSync(path.join(folder, name), "x");
}

/** Names that Anki's scan takes are exactly those that `isNormalised` calls so. */
export async function sameJudgement(device: OfficialDevice): Promise<void> {
  const names = new Set(Array.from({ length: NAMES }, () => randomName(false)).filter(fits));
  await fill(device, names);
  const real = await taken(device);
  const differing = [...names].filter((name) => real.has(name) !== isNormalised(name));
  assert.deepEqual(
    differing.map((name) => `${JSON.stringify(name)} ${escape(name)}: Anki says ${String(real.has(name))}`),
    [],
  );
  assert.ok(real.size > 100 && real.size < names.size - 100, "the names must be of both kinds");
}

/** Every path that our encoding takes has a wire name that Anki's scan takes, and that leads back to the path. */
export async function legalEncoding(device: OfficialDevice): Promise<void> {
  const paths = Array.from({ length: NAMES }, () => randomName(true).normalize("NFC"));
  const wire = new Map<string, string>();
  for (const one of paths) {
    const told = toWire(one);
    if (told.kind === "name") wire.set(told.name, one);
  }
  assert.ok(wire.size > 300, "too few paths could be encoded");
  await fill(device, wire.keys());
  const real = await taken(device);
  assert.deepEqual([...wire.keys()].filter((name) => !real.has(name)).map(escape), []);
  for (const [name, one] of wire) {
    const back = fromWire(name);
    assert.equal(back.kind === "path" ? back.path : back.kind, one);
  }
}

const escape = (name: string): string => Array.from(name, (character) => `U+${(character.codePointAt(0) ?? 0).toString(16)}`).join(" ");
