/** Takes out of a text what must not leave the machine: credentials, names of files, people and machines. */
import { createHash } from "node:crypto";

export type RedactInput = {
  /** Credentials, as they are. */
  readonly secrets: readonly string[];
  /** Words with what stands for them: roots, remotes, hosts, users. */
  readonly names: readonly (readonly [word: string, stands: string])[];
  /** Files of the user that are known by name; each becomes a pseudonym. */
  readonly files: ReadonlySet<string>;
  /** Makes the pseudonyms of this bundle unlike those of any other. */
  readonly salt: string;
};

/** Keys whose value is the name of a file of the user. */
const FILE_KEYS: ReadonlySet<string> = new Set(["path", "paths", "copyPath", "wireName", "file", "from", "to", "as", "undone", "diskPath"]);
/** Below this a word stands within others too (`art` in `start`): it is replaced where it stands alone, a longer one anywhere. */
const ANYWHERE_MIN = 6;

/** Returns a copy of plain data with every string redacted; what stands under a file's key becomes a pseudonym. */
export function redactor(input: RedactInput): (value: unknown) => unknown {
  const text = redactText(input);
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return FILE_KEYS.has(key) ? pseudonym(value, input.salt) : text(value);
    if (Array.isArray(value)) return value.map((item) => walk(item, key));
    if (typeof value !== "object" || value === null) return value;
    // Our own keys are words like any other: a file called `run` must not rename them all, so only a whole key is taken for a name.
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [nameKey(input, name), walk(item, name)]));
  };
  return (value) => walk(value, "");
}

/** What files a log line or an event speaks of, by its keys. */
export function filesIn(value: unknown, found: Set<string>, key = ""): void {
  if (typeof value === "string") {
    if (FILE_KEYS.has(key)) found.add(value);
  } else if (Array.isArray(value)) value.forEach((item) => filesIn(item, found, key));
  else if (typeof value === "object" && value !== null) for (const [name, item] of Object.entries(value)) filesIn(item, found, name);
}

/** Same name, same pseudonym; depth and ending stay, for they often are the very cause. */
export function pseudonym(file: string, salt: string): string {
  return file
    .split("/")
    .map((part) => {
      if (part === "") return part;
      const ending = /\.[A-Za-z0-9]{1,5}$/.exec(part)?.[0] ?? "";
      return `name-${createHash("sha256").update(`${salt}/${part}`).digest("hex").slice(0, 8)}${ending}`;
    })
    .join("/");
}

/** A record's key that is no word of ours. */
function nameKey({ files, salt, names, secrets }: RedactInput, key: string): string {
  if (secrets.includes(key)) return "[secret]";
  const known = names.find(([word]) => word === key);
  if (known !== undefined) return known[1];
  return files.has(key) && !/^[a-z]+(?:[A-Z][a-z]*)*$/.test(key) ? pseudonym(key, salt) : key;
}

function redactText({ secrets, names, files, salt }: RedactInput): (text: string) => string {
  const stands = new Map<string, string>();
  for (const file of files) {
    // A directory, and a file without the way to it, are names too.
    for (const part of file.split("/")) if (!NOBODYS.has(part)) stands.set(part, pseudonym(part, salt));
    stands.set(file, pseudonym(file, salt));
  }
  for (const [word, other] of names) stands.set(word, other);
  for (const secret of secrets) stands.set(secret, "[secret]");
  // As JSON writes them inside a string, too.
  const escaped = [...stands].map(([word, other]) => [JSON.stringify(word).slice(1, -1), other] as const);
  for (const [word, other] of escaped) stands.set(word, other);
  const words = [...stands.keys()].filter((word) => word !== "").toSorted((one, other) => other.length - one.length);
  const known = words.length === 0 ? null : new RegExp(words.map(patternOf).join("|"), "gu");
  return (text) => {
    const replaced = known === null ? text : text.replace(known, (word) => stands.get(word) ?? "[name]");
    return replaced
      .replace(/\b(Bearer|Basic) +[\w.~+/=-]+/gi, "$1 [secret]")
      .replace(/satchel\.token\.[\w-]+/g, "satchel.token.[secret]")
      .replace(/(\w+:\/\/)[^\s/@"]+@/g, "$1[secret]@")
      .replace(/[\w-]{32,}/g, (word) => (looksSecret(word) ? "[long word]" : word));
  };
}

/** Parts of a path that name nothing. */
const NOBODYS: ReadonlySet<string> = new Set(["", ".", ".."]);

/** Short words of our own sentences. A folder called `files` must not take that word out of every line, and the word alone tells nobody of it. */
const OURS: ReadonlySet<string> = new Set(
  "a an and are as at be base but by can cause copy could data disk done error event file files first folder for from gone has held here hold in is it its key kind last left line list local log media name names new no none not note notes of off on one open other out over pack path paths plan push put read root row rows run scan sent size start state stop sync take that the their then there they this to two unit until was what when where which will with your".split(
    " ",
  ),
);

function patternOf(word: string): string {
  const exact = word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  // Such a word is a name only where it is part of a path, or in quotation marks.
  if (OURS.has(word)) return `(?<=[/\\\\"'\`])${exact}(?![\\p{L}\\p{N}])|(?<![\\p{L}\\p{N}])${exact}(?=[/\\\\])`;
  if (word.length >= ANYWHERE_MIN) return exact;
  return `${/^[\p{L}\p{N}]/u.test(word) ? "(?<![\\p{L}\\p{N}])" : ""}${exact}${/[\p{L}\p{N}]$/u.test(word) ? "(?![\\p{L}\\p{N}])" : ""}`;
}

/** Random base64 has capitals, small letters and digits; a hash in hex or a long identifier has not all three. */
function looksSecret(word: string): boolean {
  return /[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word);
}
