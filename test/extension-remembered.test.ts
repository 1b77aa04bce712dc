import assert from "node:assert/strict";
import { test } from "node:test";

import { Remembered } from "../extension/remembered.ts";

const ADA = { url: "https://notes.example.org", user: "ada" };

function logged(): { log: Record<"debug" | "info" | "warn" | "error", (text: string) => void>; said: string[] } {
  const said: string[] = [];
  const keep = (level: string) => (text: string) => void said.push(`${level} ${text}`);
  return { log: { debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") }, said };
}

function storage(): {
  kept: Map<string, string>;
  get(k: string): Promise<string | undefined>;
  store(k: string, v: string): Promise<void>;
  delete(k: string): Promise<void>;
} {
  const kept = new Map<string, string>();
  return {
    kept,
    get: async (key) => await Promise.resolve(kept.get(key)),
    store: async (key, value) => await Promise.resolve(void kept.set(key, value)),
    delete: async (key) => await Promise.resolve(void kept.delete(key)),
  };
}

test("Remembered EX06 a password is for its own account alone, however the address ends", async () => {
  const secrets = storage();
  const remembered = new Remembered(secrets, logged().log);
  assert.equal(await remembered.password(ADA), undefined);
  assert.equal(await remembered.keep(ADA, "one"), true);
  assert.equal(await remembered.password({ ...ADA, url: "https://notes.example.org/" }), "one");
  for (const other of [
    { ...ADA, user: "bob" },
    { ...ADA, url: "http://notes.example.org" },
    { ...ADA, url: "https://notes.example.org:8443" },
    { ...ADA, url: "https://notes.example.org/anki/" },
  ])
    assert.equal(await remembered.password(other), undefined);
  assert.equal(await remembered.forget(ADA), true);
  assert.equal(secrets.kept.size, 0);
});

test("Remembered EX06 EX11 a storage that does not open is said in the log, without a name, and nothing else fails", async () => {
  const locked = async (): Promise<never> => await Promise.reject(new Error("the keyring of ada is locked"));
  const { log, said } = logged();
  const remembered = new Remembered({ get: locked, store: locked, delete: locked }, log);
  assert.equal(await remembered.password(ADA), undefined);
  assert.equal(await remembered.keep(ADA, "one"), false);
  assert.equal(await remembered.forget(ADA), false);
  assert.deepEqual(
    said.filter((line) => !line.startsWith("debug")),
    [
      "warn the editor's secret storage could not be read: Error",
      "warn the editor's secret storage took no password: Error",
      "warn the editor's secret storage kept a password: Error",
    ],
  );
});
