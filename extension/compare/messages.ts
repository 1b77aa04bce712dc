/** What the window and the compare page say to each other. Both sides check what they are told (EX04). */
import * as z from "zod/mini";

/** How the two sides are shown. `facts`: by what is known of them only. */
const showAs = z.enum(["picture", "sound", "film", "facts"]);
export type ShowAs = z.infer<typeof showAs>;

const side = z.strictObject({
  /** Whose bytes these are. */
  label: z.string(),
  /** null: they are not shown (too large, not kept any more). */
  bytes: z.nullable(z.instanceof(Uint8Array)),
  mime: z.string(),
  facts: z.array(z.strictObject({ name: z.string(), value: z.string() })),
});
export type CompareSide = z.infer<typeof side>;

/** A button. `id` comes back when it is pressed; the window knows what it stands for. */
const action = z.strictObject({ id: z.string().check(z.maxLength(40)), label: z.string(), hint: z.string() });

/** Every text of the page, in the editor's language. `{0}` is filled in. */
const words = z.strictObject({
  views: z.string(),
  sideBySide: z.string(),
  swipe: z.string(),
  onion: z.string(),
  difference: z.string(),
  divider: z.string(),
  opacity: z.string(),
  dimensions: z.string(),
  noPicture: z.string(),
  noBytes: z.string(),
  same: z.string(),
  differing: z.string(),
  otherSize: z.string(),
});
export type CompareWords = z.infer<typeof words>;

/** To the page. */
export const showMessage = z.strictObject({
  kind: z.literal("show"),
  title: z.string(),
  as: showAs,
  left: side,
  right: side,
  actions: z.array(action),
  /** False: what the user is in (a list, say) keeps the keyboard. */
  focus: z.boolean(),
  words,
});
export type ShowMessage = z.infer<typeof showMessage>;

/** From the page. */
export const pageMessage = z.union([
  z.strictObject({ kind: z.literal("ready") }),
  z.strictObject({ kind: z.literal("act"), id: z.string().check(z.maxLength(40)) }),
]);
export type PageMessage = z.infer<typeof pageMessage>;
