/** What is left alone: Satchel's own files, a published list of litter and of what must not arrive by sync, and the user's `.satchelignore`. */
import ignore, { type Ignore } from "ignore";

import { bareSegments, displayName, isOwnName } from "./paths.ts";

/** Never written by sync unless `.satchelignore` takes the rule back (`!.vscode/`): such files run programs or steer editors (FN27). */
const PROTECTED = [
  ".git",
  ".hg",
  ".svn",
  ".bzr",
  ".jj",
  "CVS",
  ".vscode",
  ".vscode-server",
  ".idea",
  ".fleet",
  ".zed",
  ".envrc",
  ".direnv",
];
/** Left behind by systems, editors, downloads and other sync programs (FN25). */
const LITTER = [
  // Systems
  ".DS_Store",
  "._*",
  ".AppleDouble",
  ".Spotlight-V100",
  ".Trashes",
  ".Trash-*",
  ".fseventsd",
  ".TemporaryItems",
  ".DocumentRevisions-V100",
  "Icon[\r]",
  "__MACOSX",
  "Thumbs.db",
  "Thumbs.db:encryptable",
  "ehthumbs.db",
  "ehthumbs_vista.db",
  "desktop.ini",
  "$RECYCLE.BIN",
  "System Volume Information",
  ".directory",
  ".nfs*",
  ".fuse_hidden*",
  "lost+found",
  // Editors and programs with a file open
  "*~",
  "~$*",
  ".~lock.*#",
  "\\#*#",
  ".#*",
  ".*.sw?",
  ".*.kate-swp",
  "4913",
  "___jb_tmp___",
  "___jb_old___",
  ".goutputstream-*",
  "*.tmp",
  ".~*",
  // Downloads under way
  "*.crdownload",
  "*.part",
  "*.partial",
  "*.opdownload",
  "*.download",
  // Other sync programs
  ".syncthing.*",
  "~syncthing~*",
  ".stfolder",
  ".stversions",
  ".stignore",
  ".dropbox",
  ".dropbox.attr",
  ".dropbox.cache",
  ".unison.*",
  ".sync",
  "*.!sync",
];

/** The built-in rules, in gitignore syntax; a name without a slash counts at any depth, for files and folders. */
export const BUILT_IN_RULES: readonly string[] = [...PROTECTED, ...LITTER];

export type IgnoreRules = {
  /** All rules as they were written: the same text decides alike. */
  readonly text: string;
  /**
   * The rule that leaves `path` (relative to the root, NFC) alone, in words for people, or null. Also tells of files in ignored folders.
   * @throws RangeError where the path is absolute or leads outside.
   */
  readonly ignoredBy: (path: string, directory: boolean) => string | null;
};

/** `satchelignore`: the text of the folder's `.satchelignore`, or null where there is none. Its rules stand behind the built-in ones. */
export function ignoreRules(satchelignore: string | null): IgnoreRules {
  const rules = ignore().add(BUILT_IN_RULES.map((pattern) => ({ pattern, mark: "built-in rule" })));
  const own = (satchelignore ?? "").replace(/^\ufeff/, "").split(/\r?\n/);
  const hasOwn = own.some((line) => line.trim() !== "" && !line.startsWith("#"));
  if (hasOwn) rules.add(own.map((pattern) => ({ pattern, mark: ".satchelignore" })));
  const exact = forgetful(rules);
  return {
    text: [...BUILT_IN_RULES, ...own].join("\n"),
    ignoredBy(path, directory) {
      if (isOwn(path)) return "Satchel's own files";
      // Nearly every path matches nothing: one expression tells, and the library's sixty are not asked.
      if (hasOwn || MAY_MATCH.test(path)) {
        const rule = exact().test(directory ? `${path}/` : path).rule;
        if (rule !== undefined) return `${String(rule.mark)} ${displayName(rule.pattern.trim())}`;
      }
      return disguisedRule(path);
    },
  };
}

/** Names with a reason to look twice: not plain ASCII, a stream, a short name of Windows, a trailing dot or space. */
const ODD = /[^\x20-\x7e]|:|~\d|[ .](?:\/|$)/;

function isOwn(path: string): boolean {
  return /\.satchel|satche~/i.test(path) || ODD.test(path) ? isOwnName(path) : false;
}

/** A protected name in a disguise that some disk would see through (FN20). There is no way to opt in to those. */
function disguisedRule(path: string): string | null {
  if (!ODD.test(path)) return null;
  const plain = path.toLowerCase().split("/");
  for (const [index, segment] of bareSegments(path).entries()) {
    const real = /^git~\d/.test(segment) ? ".git" : segment;
    if (real !== plain[index] && DISGUISED.has(real)) return `built-in rule ${real} (in disguise)`;
  }
  return null;
}
const DISGUISED = new Set(PROTECTED.map((name) => name.toLowerCase()));

/** All built-in rules in one expression; knows nothing of order and opt-in, so it may only say "perhaps". */
const MAY_MATCH = new RegExp(`(?:^|/)(?:${BUILT_IN_RULES.map(globSource).join("|")})(?:/|$)`, "i");

function globSource(rule: string): string {
  // `\#` begins a rule whose name begins with `#`; a bare one would begin a comment.
  const glob = rule.replace(/^\\#/, "#");
  return glob
    .replaceAll(/[.+$(){}|^]/g, String.raw`\$&`)
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
}

const REMEMBERED_MAX = 10_000;

/** The library remembers every path that it was ever asked for; a fresh one with the same compiled rules forgets them. */
function forgetful(rules: Ignore): () => Ignore {
  let current = rules;
  let asked = 0;
  return () => {
    asked += 1;
    if (asked % REMEMBERED_MAX === 0) current = ignore().add(current);
    return current;
  };
}
