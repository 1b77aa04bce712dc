/** Who deleted a file on the remote, or put bytes there that ours were in conflict with, where it tells. For people; nothing is decided by it. */
import type { Author } from "../core/ports.ts";
import type { Sha1 } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import { toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";
import { checkedSha1 } from "./sha1-text.ts";

export function prepareRemoteAuthors(session: Session): (folder: FolderRow) => FolderState["remoteAuthors"] {
  const { db } = session;
  const get = db.prepare<[number, string, Sha1 | null], Author>(
    "SELECT device AS by, at_ms AS atMs FROM remote_author WHERE folder = ? AND path = ? AND sha1 IS unhex(?)",
  );
  const put = db.prepare<[number, string, Sha1 | null, string | null, number]>(
    "INSERT OR REPLACE INTO remote_author (folder, path, sha1, device, at_ms) VALUES (?, ?, unhex(?), ?, ?)",
  );
  const remove = db.prepare<[number, string]>("DELETE FROM remote_author WHERE folder = ? AND path = ?");
  return (folder) => ({
    get: session.read("read who changed a file", (path: string, sha1: Sha1 | null) => get.get(folder.key, toText(path), sha1) ?? null),
    put: session.write("record who changed a file", (path: string, sha1: Sha1 | null, author: Author | null) => {
      const key = session.keyFor(folder);
      if (author === null) remove.run(key, toText(path));
      else put.run(key, toText(path), checkedSha1(sha1), author.by, author.atMs);
    }),
  });
}
