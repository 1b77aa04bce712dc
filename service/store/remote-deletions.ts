/** Who deleted a file on the remote, where it tells. For people; nothing is decided by it. */
import type { Deleted } from "../core/ports.ts";
import type { FolderState } from "../core/state.ts";
import { toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";

export function prepareRemoteDeletions(session: Session): (folder: FolderRow) => FolderState["remoteDeletions"] {
  const { db } = session;
  const get = db.prepare<[number, string], Deleted>(
    "SELECT device AS by, at_ms AS atMs FROM remote_deletion WHERE folder = ? AND path = ?",
  );
  const put = db.prepare<[number, string, string | null, number]>(
    "INSERT OR REPLACE INTO remote_deletion (folder, path, device, at_ms) VALUES (?, ?, ?, ?)",
  );
  const remove = db.prepare<[number, string]>("DELETE FROM remote_deletion WHERE folder = ? AND path = ?");
  return (folder) => ({
    get: session.read("read who deleted a file", (path: string) => get.get(folder.key, toText(path)) ?? null),
    put: session.write("record who deleted a file", (path: string, deleted: Deleted | null) => {
      const key = session.keyFor(folder);
      if (deleted === null) remove.run(key, toText(path));
      else put.run(key, toText(path), deleted.by, deleted.atMs);
    }),
  });
}
