/** The media of real notes, from one service to another: what both say of it at the end, and what `diff -r` says. */
import assert from "node:assert/strict";
import { cp, readdir } from "node:fs/promises";
import path from "node:path";

import type { FolderStatus } from "../../protocol/api/model.ts";
import { runToEnd } from "../support/children.ts";
import { makeSatchel } from "../support/satchel.ts";
import type { SyncServer } from "../support/sync-server.ts";

const SHARED = path.resolve(import.meta.dirname, "../../../shared");
/** Real media of real notes, beside the project: not part of it. */
export const CORPUS = path.join(SHARED, "corpus/foam-docs/docs/assets/images");

type Told = Pick<FolderStatus, "state" | "files" | "pending" | "conflicts" | "problems">;

/** Up from one device, down to another. Resolves with how many files both have. */
export async function carryCorpus(server: SyncServer, user: string): Promise<number> {
  const [one, two] = [await makeSatchel(), await makeSatchel()];
  try {
    await cp(CORPUS, one.root, { recursive: true });
    const files = (await readdir(one.root)).length;
    for (const device of [one, two]) {
      await device.run();
      await device.join(server.url, user);
      const { code, said } = await device.sync();
      assert.equal(code, 0, said);
    }
    for (const device of [one, two]) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is not of this shape does not compare
      const status = (await device.json(["status"])) as { readonly folders: readonly Told[] };
      assert.deepEqual(
        status.folders.map((folder) => ({
          state: folder.state,
          files: folder.files,
          pending: folder.pending,
          conflicts: folder.conflicts,
          problems: folder.problems,
        })),
        [{ state: "insync", files, pending: 0, conflicts: 0, problems: 0 }],
      );
    }
    const { code, stdout, stderr } = await runToEnd("diff", ["-r", "-x", ".satchel*", one.root, two.root]);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
    return files;
  } finally {
    await one.close();
    await two.close();
  }
}
