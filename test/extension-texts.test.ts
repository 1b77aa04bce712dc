import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { clientLog, logTrouble } from "../extension/log-words.ts";
import { RequestError } from "../extension/session.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { RUN_FAULTS } from "../protocol/run-faults.ts";
import type { LocalReason, RemoteReason } from "../service/core/model.ts";
import type { Cause } from "../service/notes/knowledge.ts";

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

test("manifest every setting stands in the extension's README, and the README names no other", () => {
  const { contributes }: { contributes: { configuration: { properties: Record<string, unknown> } } } = JSON.parse(
    readFileSync(path.join(EXTENSION, "manifest.json"), "utf8"),
  );
  const told = [...readFileSync(path.join(EXTENSION, "README.md"), "utf8").matchAll(/^\| `(satchel\.[\w.]+)` /gm)].map(([, name]) => name);
  assert.deepEqual(new Set(told), new Set(Object.keys(contributes.configuration.properties)));
});

test("sources EX03 EX05 no link from outside is answered, and no shown text may run a command or hold HTML", () => {
  const FORBIDDEN = /registerUriHandler|\bonUri\b|\bisTrusted\s*[:=](?!=)|\bsupportHtml\b|enableCommandUris/;
  const files = [...globSync("**/*.ts", { cwd: EXTENSION }), "manifest.json"];
  assert.ok(files.length > 30);
  assert.deepEqual(
    files.filter((file) => FORBIDDEN.test(readFileSync(path.join(EXTENSION, file), "utf8"))),
    [],
  );
});

test("sources EX06 no secret is held by the editor, but for the password that its user asks it to remember", () => {
  const files = globSync("**/*.ts", { cwd: EXTENSION });
  const keeping = files.filter((file) =>
    /\bSecretStorage\b|\.secrets\b|globalState|workspaceState/.test(readFileSync(path.join(EXTENSION, file), "utf8")),
  );
  assert.deepEqual(keeping.toSorted(), ["main.ts", "remembered.ts"]);
});

test("sources EX no telemetry: of the whole extension one file connects to anything, and that to the service", () => {
  const REACHING =
    /\bfetch\(|XMLHttpRequest|EventSource|sendBeacon|createTelemetryLogger|from "(?:(?:node:)?(?:https?|http2|net|tls|dgram)|ws|undici)"/;
  const files = globSync("**/*.ts", { cwd: EXTENSION });
  const reaching = files.filter((file) => REACHING.test(readFileSync(path.join(EXTENSION, file), "utf8")));
  assert.deepEqual(reaching, ["wire.ts"]);
});

test("sources EX11 what is logged by default is a sentence without holes, or a code: names and an error's words are for Debug alone", () => {
  const calls = globSync("**/*.ts", { cwd: EXTENSION }).flatMap((file) =>
    [...readFileSync(path.join(EXTENSION, file), "utf8").matchAll(/\blog\??\.(?:info|warn|error)\(([^\n]*)/g)].map(([, given = ""]) => ({
      file,
      given,
    })),
  );
  assert.ok(calls.length >= 3, "the pattern is wrong");
  // Versions and numbers are no names.
  const HARMLESS = /^(?:"[^"]*"|`(?:[^`$]|\$\{(?:hello\.version|this\.#version|String\(code\))\})*`)\)/;
  assert.deepEqual(
    calls.filter(({ given }) => !HARMLESS.test(given)),
    [],
  );
});

test("logTrouble() EX11 tells the kind of trouble by default, and its words at Debug", () => {
  const said: string[] = [];
  const keep = (level: string) => (text: string) => void said.push(`${level} ${text}`);
  const log = { debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") };
  const SECRET = "/home/ada/notes/divorce.png at http://127.0.0.1:8080/?token=abc";
  const disk = Object.assign(new Error(`ENOENT: no such file, open '${SECRET}'`), { code: "ENOENT" });
  const odd = Object.assign(new Error(SECRET), { code: SECRET });
  const troubles = [new RequestError(ErrorCode.Unreachable, SECRET), new RequestError(null, SECRET), disk, odd, SECRET];
  for (const trouble of troubles) logTrouble(log, "warn", "signing in failed", trouble);
  assert.deepEqual(
    said.filter((line) => !line.startsWith("debug")),
    ["Unreachable 1020", "no answer of the service", "Error ENOENT", "Error", "no error that is known"].map(
      (kind) => `warn signing in failed: ${kind}`,
    ),
  );
  assert.equal(said.filter((line) => line.startsWith("debug") && line.includes(SECRET)).length, troubles.length);
});

test("clientLog() EX11 what the language client writes by itself names the request and the code by default, and no note", () => {
  const said: string[] = [];
  const keep = (level: string) => (text: string) => void said.push(`${level} ${text}`);
  const log = clientLog({ debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") });
  const SECRET = "/home/ada/notes/divorce.md";
  const texts = [
    `Request textDocument/hover failed.\n  Message: ENOENT ${SECRET}\n  Code: -32603 `,
    `Request workspace/applyEdit/${SECRET} failed`,
    `Client Satchel: connection to server is erroring.\n${SECRET}`,
    SECRET,
  ];
  for (const text of texts) for (const write of Object.values(log)) write(text);
  const words = ["textDocument/hover failed, code -32603", "no more is told at this level"];
  assert.deepEqual(
    new Set(said.filter((line) => !line.startsWith("debug"))),
    new Set(words.flatMap((word) => ["error", "warn"].map((level) => `${level} the language client met trouble: ${word}`))),
  );
  assert.equal(said.filter((line) => line.startsWith("debug") && line.includes(SECRET)).length, texts.length * 7);
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

/** Every reason of a problem and every cause of missing media that the service tells; TypeScript refuses one that is left out. */
const REASONS: Readonly<Record<LocalReason | RemoteReason, true>> = {
  empty: true,
  tooLarge: true,
  unreadable: true,
  symlink: true,
  special: true,
  badName: true,
  nameTooLong: true,
  locked: true,
  unsettled: true,
  twin: true,
  reserved: true,
  unsafeName: true,
  secondName: true,
  refused: true,
  missing: true,
  hashMismatch: true,
  tooLargeThere: true,
  diskFull: true,
  applyFailed: true,
};
const CAUSES: Readonly<Record<Exclude<Cause, "present">, true>> = {
  conflict: true,
  ignoredHere: true,
  tooLargeHere: true,
  troubleHere: true,
  remote: true,
  remoteTrouble: true,
  tooLarge: true,
  renamed: true,
  deleted: true,
  ignored: true,
  never: true,
};

test("l10n every error code, every fault of a run, every reason of a problem and every cause of missing media has a sentence in both languages", () => {
  const german = json("l10n/bundle.l10n.de.json");
  const source = readFileSync(path.join(EXTENSION, "sentences.ts"), "utf8");
  const sentences = (keys: readonly string[], table: string): void => {
    const part =
      source
        .slice(source.indexOf(`const ${table}`))
        .split("\n]);\n")[0]
        ?.split("\n};\n")[0] ?? "";
    const found = new Map(
      [...part.matchAll(/^ {2}\[\s*("?)([\w.]+)\1\]?[,:]\s.*?=>\s+l10n\.t\(\s*("(?:[^"\\]|\\.)*")/gm)].map(
        ([, , key = "", text = '""']) => [key, text],
      ),
    );
    for (const key of keys) {
      const text: string = JSON.parse(found.get(key) ?? '""');
      assert.ok((german[text] ?? "") !== "", `${table} has no German sentence for ${key}`);
    }
    assert.equal(found.size, keys.length, `${table} has sentences for nothing that the service tells`);
  };
  sentences(
    Object.keys(ErrorCode).map((name) => `ErrorCode.${name}`),
    "ERRORS",
  );
  sentences(RUN_FAULTS, "FAULTS");
  sentences(Object.keys(REASONS), "PROBLEMS");
  sentences(Object.keys(CAUSES), "CAUSES");
});
