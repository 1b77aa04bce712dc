/** What one message to the service can hold. Nothing here touches the editor, so that it runs in plain Node too. */

/** The service takes messages of 1 MiB; the rest of one (address, version, JSON around it) is far below this. */
const TEXT_MAX_BYTES = 1024 * 1024 - 16 * 1024;
/** A UTF-16 unit takes so much in JSON at the most (`\u0000`). */
const UNIT_MAX_BYTES = 6;

/** The text can be told to the service in one message. Looks at the text only where it may be too long. */
export function fitsMessage(text: string): boolean {
  if (text.length * UNIT_MAX_BYTES <= TEXT_MAX_BYTES) return true;
  return text.length <= TEXT_MAX_BYTES && Buffer.byteLength(JSON.stringify(text)) <= TEXT_MAX_BYTES;
}
