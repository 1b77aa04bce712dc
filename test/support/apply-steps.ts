/** Words for tests of the applier: files that were scanned, steps as the engine makes them, and what stands afterwards. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import type { ApplyResult, ApplyStep } from "../../service/core/local.ts";
import type { ApplyIntent, Entry } from "../../service/core/model.ts";
import { openFolderOnDisk, sha1Of, type FolderOnDisk } from "./folder-on-disk.ts";

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A test with a folder of its own. */
export function onDisk(
  name: string,
  run: (given: FolderOnDisk) => Promise<void>,
  options: { readonly nearNames?: number; readonly nearParts?: number } = {},
): void {
  test(name, async () => {
    const given = await openFolderOnDisk(options);
    try {
      await run(given);
    } finally {
      await given.close();
    }
  });
}

/** Files that were scanned: what the planner would have seen. */
export async function standing(given: FolderOnDisk, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    fs.mkdirSync(`${given.root}/${path}`.slice(0, `${given.root}/${path}`.lastIndexOf("/")), { recursive: true });
    fs.writeFileSync(`${given.root}/${path}`, text);
  }
  await given.scan();
}

export function entry(given: FolderOnDisk, path: string): Entry {
  const found = given.entries.get(path);
  assert.ok(found, `${path} was not scanned`);
  return found;
}

export async function put(given: FolderOnDisk, path: string, text: string, options: { copyTo?: string } = {}): Promise<ApplyStep> {
  const [temp] = await given.applier.stage([{ path, bytes: bytesOf(text) }]);
  assert.ok(temp);
  const expect = given.entries.get(path) ?? null;
  return { kind: "put", path, temp, sha1: sha1Of(text), expect, copyTo: options.copyTo ?? null, why: "replaced" };
}

export const remove = (given: FolderOnDisk, path: string): ApplyStep => ({
  kind: "remove",
  path,
  expect: entry(given, path),
  why: "removed",
});

/** What the engine discards once it has forgotten the intents of steps that were not done. */
export function tempsOf(steps: readonly ApplyStep[]): string[] {
  return steps.flatMap((step) => (step.kind === "put" ? [step.temp] : []));
}

export function intentOf(step: ApplyStep): ApplyIntent {
  const isPut = step.kind === "put";
  const expectSha1 = step.expect?.sha1 ?? null;
  const common = { movesBase: true, origin: "apply", run: "r1" } as const;
  return { path: step.path, sha1: isPut ? step.sha1 : null, expectSha1, temp: isPut ? step.temp : null, ...common };
}

export const textAt = (given: FolderOnDisk, path: string): string | null =>
  fs.existsSync(`${given.root}/${path}`) ? fs.readFileSync(`${given.root}/${path}`, "utf8") : null;

export async function keptText(given: FolderOnDisk, text: string): Promise<boolean> {
  const path = await given.versions.locate(sha1Of(text));
  return path !== null && fs.readFileSync(path, "utf8") === text;
}

export function assertAtRest(given: FolderOnDisk): void {
  assert.deepEqual(fs.readdirSync(`${given.root}/.satchel`), [], ".satchel/ is empty at rest");
  assert.deepEqual(fs.readdirSync(`${given.home}/versions/new`), [], "nothing is left unfiled");
}

export const done = (result: ApplyResult | undefined) => {
  assert.equal(result?.kind, "done", JSON.stringify(result));
  if (result?.kind !== "done") throw new Error("not done");
  return result;
};
