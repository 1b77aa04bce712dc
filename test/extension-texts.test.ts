import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

const EXTENSION = path.join(import.meta.dirname, "..", "extension");

function json(file: string): Record<string, string> {
  return JSON.parse(readFileSync(path.join(EXTENSION, file), "utf8"));
}

/** Every text given to `l10n.t` in the sources. Only literals can be translated, so nothing else may be given. */
function textsInSources(): readonly string[] {
  const texts = globSync("**/*.ts", { cwd: EXTENSION }).flatMap((file) => {
    const source = readFileSync(path.join(EXTENSION, file), "utf8");
    return [...source.matchAll(/\bl10n\.t\(\s*("(?:[^"\\]|\\.)*")?/g)].map(([call, literal]) => {
      assert.ok(literal !== undefined, `${file}: ${call} is not given a literal in double quotes`);
      const text: string = JSON.parse(literal);
      return text;
    });
  });
  return [...new Set(texts)];
}

const holes = (text: string) => [...new Set([...text.matchAll(/\{\d\}/g)].map(([hole]) => hole))].toSorted();

test("l10n every text of the extension has a German one with the same holes, and no German one is left over", () => {
  const german = json("l10n/bundle.l10n.de.json");
  const texts = textsInSources();
  assert.ok(texts.length > 50, `only ${String(texts.length)} texts were found: the pattern is wrong`);
  assert.deepEqual(
    texts.filter((text) => !(text in german)),
    [],
    "without a German text",
  );
  assert.deepEqual(
    Object.keys(german).filter((text) => !texts.includes(text)),
    [],
    "German, but nowhere used",
  );
  for (const [text, translated] of Object.entries(german)) assert.deepEqual(holes(translated), holes(text), translated);
});

test("l10n every %key% of the manifest has an English and a German text, and none is left over", () => {
  const keys = [
    ...new Set([...readFileSync(path.join(EXTENSION, "manifest.json"), "utf8").matchAll(/"%([^%"]+)%"/g)].map(([, key = ""]) => key)),
  ];
  assert.deepEqual(Object.keys(json("package.nls.json")).toSorted(), keys.toSorted());
  assert.deepEqual(Object.keys(json("package.nls.de.json")).toSorted(), keys.toSorted());
});

test("manifest every command is registered, and every icon is there", () => {
  const manifest = readFileSync(path.join(EXTENSION, "manifest.json"), "utf8");
  const { contributes }: { contributes: { commands: { command: string }[] } } = JSON.parse(manifest);
  const sources = globSync("**/*.ts", { cwd: EXTENSION }).map((file) => readFileSync(path.join(EXTENSION, file), "utf8"));
  for (const { command } of contributes.commands) {
    const name = command.replace(/^satchel\./, "");
    assert.ok(
      sources.some((source) => source.includes(`"${command}"`) || new RegExp(`^\\s+"?${name}"?: async`, "m").test(source)),
      `${command} is registered nowhere`,
    );
  }
  for (const [, file = ""] of manifest.matchAll(/"(media\/[^"]+)"/g)) assert.ok(readFileSync(path.join(EXTENSION, "..", file)).length > 0);
});
