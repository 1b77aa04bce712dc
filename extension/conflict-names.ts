/** Names and numbers around conflicts. Pure. */
import path from "node:path";

/** What can't stand in a name that every system and Anki's server takes. */
// oxlint-disable-next-line no-control-regex -- C0, DEL and C1 are what is looked for
const FORBIDDEN = /[<>:"|?*\\[\]^\u0000-\u001f\u007f-\u009f]/;

/** `a/photo.png` on `laptop` → `a/photo (laptop).png`. */
export function suggestedName(name: string, device: string | null): string {
  const extension = path.posix.extname(name);
  return `${name.slice(0, name.length - extension.length)} (${device ?? "2"})${extension}`;
}

/** The first sign, or part, that makes a path one that can't travel; null: it can. The service has the last word. */
export function nameTrouble(name: string): string | null {
  const sign = FORBIDDEN.exec(name)?.[0];
  if (sign !== undefined) return sign;
  const bad = name.split("/").find((part) => part.trim() === "" || /^\.+$/.test(part) || /[. ]$/.test(part) || part.startsWith(".satchel"));
  return bad ?? null;
}

/** The conflict's number in whatever a command or an event was given: an item of the view, a conflict, an event's data, `conflict:3`. */
export function conflictIdOf(item: unknown): number | null {
  if (typeof item === "string") return /^conflict:\d+$/.test(item) ? Number(item.slice("conflict:".length)) : null;
  if (typeof item === "number") return Number.isSafeInteger(item) ? item : null;
  if (typeof item !== "object" || item === null) return null;
  if ("conflict" in item) return conflictIdOf(item.conflict);
  return "id" in item && typeof item.id === "number" ? item.id : null;
}
