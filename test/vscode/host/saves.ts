/** What a save makes the window ask of the service, told apart from what the service sees by itself. */
import assert from "node:assert/strict";

import type { SatchelExports } from "../../../extension/main.ts";
import type { MethodName, ParamsOf } from "../../../protocol/api/table.ts";
import { bytesOf, change, looking, onOtherDevice, set, until, workspaceFile, type HostTests } from "./window.ts";

type Session = SatchelExports["session"];
type Overheard = { readonly asked: readonly string[]; forget(): void; end(): void };

/** The window's requests that look at a file or sync, as `files/add draft.txt` and `sync/run`. */
function overhear(session: Session): Overheard {
  const asked: string[] = [];
  const call = session.call.bind(session);
  session.call = async <Name extends MethodName>(method: Name, params: ParamsOf<Name>, signal?: AbortSignal) => {
    const file = /"path":"([^"]*)"/.exec(JSON.stringify(params))?.[1] ?? "";
    if (method === "files/add" || method === "sync/run") asked.push(`${method} ${file}`.trim());
    return await call(method, params, signal);
  };
  return {
    asked,
    forget: () => void asked.splice(0),
    end: () => {
      session.call = call;
    },
  };
}

export const SAVES: HostTests = {
  "EX sync on save: on, a saved file and a note's new media are asked for; off, nothing is, and the service sees the file by itself":
    async () => {
      const session = await looking();
      const [file, note] = [workspaceFile("media", "draft.txt"), workspaceFile("saves.md")];
      const there = await onOtherDevice("draft.txt");
      const heard = overhear(session);
      const all = (...wanted: readonly string[]) => wanted.every((one) => heard.asked.includes(one)) || undefined;
      try {
        // The window learns of its folders a moment after it began: the first save may come before.
        let saves = 0;
        await until(async () => {
          await change(file, `draft ${String(++saves)}`);
          return all("files/add draft.txt");
        });
        await until(() => all("sync/run"));
        await until(async () => ((await bytesOf(there)) === `draft ${String(saves)}` ? true : undefined));

        await set("satchel.syncOnSave", false);
        heard.forget();
        await change(note, "![](media/cat.png)\n");
        await change(file, "quiet");
        await until(async () => ((await bytesOf(there)) === "quiet" ? true : undefined));
        assert.equal(heard.asked.join(", "), "");

        await set("satchel.syncOnSave", undefined);
        await change(note, "![](media/draft.txt)\n");
        await until(() => all("files/add draft.txt", "sync/run"));
        assert.ok(!heard.asked.includes("files/add cat.png"), heard.asked.join(", "));
        heard.forget();
        await change(file, "loud");
        assert.equal(heard.asked[0], "files/add draft.txt");
        await until(() => all("sync/run"));
        await until(async () => ((await bytesOf(there)) === "loud" ? true : undefined));
      } finally {
        await set("satchel.syncOnSave", undefined);
        heard.end();
      }
    },
};
