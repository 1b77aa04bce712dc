/**
 * Who may import whom: the ranks of the design, as one table that the linter and `test/borders.test.ts` both read.
 * A key is a folder (with everything below it) or a single file; its value lists the places it may import beside itself.
 */
const EVERYWHERE = [
  "protocol",
  "service/core",
  "service/store",
  "service/files",
  "service/remotes",
  "service/notes",
  "service/engine",
  "service/rpc",
  "service/lsp",
  "service/server",
  "service/cli",
] as const;
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  "service/core": ["protocol"],
  "service/store": ["protocol", "service/core"],
  "service/files": ["protocol", "service/core"],
  "service/remotes": ["protocol", "service/core"],
  "service/notes": ["protocol", "service/core"],
  "service/engine": ["protocol", "service/core", "service/store", "service/files", "service/remotes", "service/notes"],
  "service/rpc": ["protocol", "service/core", "service/store", "service/files", "service/remotes", "service/notes", "service/engine"],
  "service/lsp": ["protocol", "service/core", "service/store", "service/files", "service/remotes", "service/notes", "service/engine"],
  "service/server": ["protocol", "service/core", "service/store", "service/files"],
  "service/cli": ["protocol", "service/core"],
  "service/compose": EVERYWHERE,
  "service/main.ts": [...EVERYWHERE, "service/compose"],
  extension: ["protocol"],
};
