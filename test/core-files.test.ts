/** Coverage counts only files that a test loads: every file of core is loaded here, so that none can hide. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

const core = new URL("../service/core/", import.meta.url);

test("core §2 every file of service/core loads by itself", async () => {
  const files = readdirSync(core).filter((name) => name.endsWith(".ts"));
  assert.ok(files.length > 10, "the folder was listed");
  for (const file of files) {
    const loaded: unknown = await import(new URL(file, core).href);
    assert.equal(typeof loaded, "object", file);
  }
});
