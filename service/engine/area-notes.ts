/** The facade's `notes` area: what the service knows of the files that notes name, and the check of notes against their media. */
import { setImmediate } from "node:timers/promises";

import { displayName } from "../core/paths.ts";
import {
  badNames,
  duplicatesOf,
  lineFinder,
  NameSearch,
  unreferenced,
  unusedFiles,
  type FolderFile,
  type Mention,
} from "../notes/check.ts";
import type { NotesSource } from "../notes/finder.ts";
import { knowledgeOf, missingFactsOf, type MediaFacts } from "../notes/knowledge.ts";
import { listNotes, readNote, standsOnDisk, type NotesDisk } from "../notes/note-files.ts";
import { baseName, slashed } from "../notes/paths.ts";
import { resolve, type MediaIndex } from "../notes/resolve.ts";
import { commandId, removeLocal } from "./change-local.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { Engine, NotesReport } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { MediaNames } from "./media-names.ts";
import { renamesSince } from "./renames.ts";

/** What happened to a path is told from so many of its newest changes. */
const CHANGES_SHOWN = 20;
/** Rows between two breaths: others have their turn. */
const ROWS_AT_ONCE = 1000;

export function notesArea(context: EngineContext): Engine["notes"] {
  const { folders, need } = context;
  const lists = new WeakMap<Folder, MediaNames>();
  const listOf = (folder: Folder): MediaNames => {
    const known = lists.get(folder) ?? new MediaNames(folder.rows);
    lists.set(folder, known);
    return known;
  };
  const ask: Ask = {
    roots: () => [...folders.values()].map(({ config }) => ({ folder: config.id, root: slashed(config.root) })),
    standing: ({ folder, path }) => standing(need(folder), path),
    named: async (last) => {
      const found = [...folders.values()].map(async (folder) =>
        (await listOf(folder).named(last)).map(({ path }) => ({ folder: folder.config.id, path })),
      );
      return (await Promise.all(found)).flat();
    },
  };
  return {
    ...ask,
    know: ({ folder, path }) => factsOf(need(folder), path),
    names: async (folder) => await listOf(need(folder)).all(),
    renames: (folder, since) => renamesSince(need(folder).rows, since),
    check: async ({ folder, notes }, signal) => await check({ context, ask }, need(folder), notes, signal),
    clean: async ({ folder, notes, paths }, signal) => {
      const owner = need(folder);
      const report = await check({ context, ask }, owner, notes, signal);
      if (report.unread.length > 0)
        throw new EngineError(
          "disk",
          `Not every note could be read (${displayName(report.unread[0] ?? "")}), so nothing is known to be unused. Make it readable, then try again.`,
        );
      return await remove(owner, report, paths);
    },
  };
}

function standing({ rows }: Folder, path: string): ReturnType<MediaIndex["standing"]> {
  if (rows.entries.get(path) !== undefined) return "here";
  if (rows.problems.get(path).some(({ side, reason }) => side === "local" && reason !== "unsettled")) return "here";
  const known = rows.remote.get(path) !== undefined || rows.changes.ofPath(path, 1).length > 0;
  return known ? "known" : "unknown";
}

function factsOf(folder: Folder, path: string): MediaFacts {
  const { rows, config } = folder;
  const entry = rows.entries.get(path);
  const remote = rows.remote.get(path);
  const known = {
    folder: config.id,
    path,
    diskPath: `${slashed(config.root)}/${entry?.diskPath ?? path}`,
    entry: entry === undefined ? null : { sizeBytes: entry.sizeBytes, sha1: entry.sha1, mtimeMs: entry.mtimeNs / 1e6 },
    synced: entry !== undefined && rows.base.get(path) === entry.sha1,
    remote:
      remote === undefined
        ? null
        : {
            sha1: remote.sha1,
            sizeBytes: remote.sizeBytes,
            deleted: entry === undefined && remote.sha1 === null ? rows.remoteAuthors.get(path, null) : null,
          },
    ignoredBy: folder.partsIfOpen?.ignoredBy(path) ?? null,
    // Mostly there are none at all, and that is known without a look.
    problems: rows.problems.count() === 0 ? [] : rows.problems.get(path),
    conflicts: rows.conflicts.openCount() === 0 ? [] : rows.conflicts.ofPath(path).filter(({ state }) => state === "open"),
  };
  // What stands here is asked for far more often than what is missing, and its past by nobody but who looks at the one file.
  if (entry !== undefined)
    return {
      ...known,
      get changes() {
        return rows.changes.ofPath(path, CHANGES_SHOWN);
      },
      get versions() {
        return rows.versions.ofPath(path);
      },
      movedTo: null,
    };
  const changes = rows.changes.ofPath(path, CHANGES_SHOWN);
  const last = changes.find(({ kind }) => kind === "put")?.sha1 ?? null;
  const moved = last === null ? undefined : rows.entries.withSha1(last);
  return { ...known, changes, versions: rows.versions.ofPath(path), movedTo: moved === undefined ? null : moved.path };
}

type Ask = Pick<Engine["notes"], "roots" | "standing" | "named">;

type Reading = { readonly references: Map<string, Mention[]>; readonly unread: string[]; notes: number; count: number };

async function check(
  { context, ask }: { readonly context: EngineContext; readonly ask: Ask },
  folder: Folder,
  directories: readonly string[],
  signal: AbortSignal,
): Promise<NotesReport> {
  const { disk } = context.deps.notes;
  const index: MediaIndex = {
    ...ask,
    roots: ask.roots(),
    exists: async (absolute) => await standsOnDisk(disk, absolute),
  };
  const reading: Reading = { references: new Map(), unread: [], notes: 0, count: 0 };
  const notes = await notesIn(disk, directories, reading, signal);
  for (const note of notes.keys())
    await readReferences(context.deps.notes, note, notes.get(note) ?? "", { folder: folder.config.id, index, reading, signal });
  const files = await filesOf(folder);
  const search = new NameSearch(unreferenced(files, reading.references).map(({ path }) => baseName(path)));
  for (const note of notes.keys()) {
    signal.throwIfAborted();
    search.look((await readNote(disk, note)) ?? "");
  }
  const missing = [];
  for (const [path, references] of reading.references) {
    const facts = factsOf(folder, path);
    const knowledge = knowledgeOf(facts, await standsOnDisk(disk, facts.diskPath));
    const { cause, sentence } = knowledge;
    if (knowledge.missing) missing.push({ path, cause, detail: sentence, facts: missingFactsOf(facts, knowledge), references });
  }
  return {
    folder: folder.config.id,
    root: folder.config.root,
    notes: reading.notes,
    references: reading.count,
    unread: reading.unread,
    missing: missing.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    // What could not be read may name any of them.
    unused: reading.unread.length > 0 ? [] : unusedFiles(files, reading.references, search.found),
    duplicates: duplicatesOf(files, (path) => reading.references.get(path)?.length ?? 0),
    badNames: badNames(files, folder.rows.problems.list()),
  };
}

async function filesOf({ rows }: Folder): Promise<readonly FolderFile[]> {
  const files: FolderFile[] = [];
  for (const { path, sizeBytes, sha1, mtimeNs } of rows.entries.all()) {
    files.push({ path, sizeBytes, sha1, mtimeMs: mtimeNs / 1e6 });
    if (files.length % ROWS_AT_ONCE === 0) await setImmediate();
  }
  return files;
}

/** Note → the directory it was found under, which is what a leading `/` means in it. A note in two of them counts once. */
async function notesIn(
  disk: NotesDisk,
  directories: readonly string[],
  reading: Reading,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const notes = new Map<string, string>();
  for (const directory of directories.map(slashed)) {
    const listing = await listNotes(disk, directory, signal);
    reading.unread.push(...listing.unlisted);
    for (const { path } of listing.notes) if (!notes.has(path)) notes.set(path, directory);
  }
  return notes;
}

async function readReferences(
  { disk, findAmongMany }: NotesSource,
  note: string,
  workspace: string,
  given: { readonly folder: string; readonly index: MediaIndex; readonly reading: Reading; readonly signal: AbortSignal },
): Promise<void> {
  const { reading, index, signal } = given;
  signal.throwIfAborted();
  const text = await readNote(disk, note);
  const found = text === null ? null : await findAmongMany(text);
  if (text === null || found === null) {
    reading.unread.push(note);
    return;
  }
  reading.notes += 1;
  const lineOf = lineFinder(text);
  for (const reference of found) {
    const place = await resolve(reference, { note, workspace }, index);
    if (place?.folder !== given.folder) continue;
    const mention = { note, ...lineOf(reference.start), written: text.slice(reference.start, reference.end) };
    const list = reading.references.get(place.path);
    if (list === undefined) reading.references.set(place.path, [mention]);
    else list.push(mention);
    reading.count += 1;
  }
}

/** Each path that is unused and still what the check saw goes, its bytes kept, all under one run: one undo brings them back. */
async function remove(folder: Folder, report: NotesReport, paths: readonly string[]): ReturnType<Engine["notes"]["clean"]> {
  const unused = new Map(report.unused.map((file) => [file.path, file.sha1]));
  const removed: string[] = [];
  const skipped: { path: string; reason: string }[] = [];
  const { parts, loop, rows } = folder;
  const run = commandId(parts);
  await loop.exclusive(async () => {
    for (const path of new Set(paths)) {
      const sha1 = unused.get(path);
      if (sha1 === undefined) skipped.push({ path, reason: rows.entries.get(path) === undefined ? "it is not there" : "it is not unused" });
      else if (rows.entries.get(path)?.sha1 !== sha1) skipped.push({ path, reason: "it was changed since the check" });
      else await removeOne(path);
    }
  });
  loop.tryAgain();
  return { removed, skipped };

  async function removeOne(path: string): Promise<void> {
    try {
      await removeLocal(parts, path, run);
      removed.push(path);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      skipped.push({ path, reason: error.message });
    }
  }
}
