/** What the peer sent is not what the protocol allows. One class for the whole wire; nothing was applied. */
export type WireFault =
  /** The `anki-sync` header is missing a key, is not printable ASCII, or is not JSON. */
  | "header"
  /** A protocol version outside the accepted range. */
  | "version"
  /** Not JSON, or JSON of another shape than the message has. */
  | "json"
  | "zip"
  | "zstd"
  | "multipart"
  /** Larger than a cap of `limits.ts` (bytes, entries or depth): refused, never truncated. */
  | "tooLarge"
  /** A message for people that the server put into the envelope's `err`. */
  | "serverSays";

/** @see WireFault. The message says what was read and what is wrong with it; it never quotes the peer's bytes (they may be secret or hostile). */
export class WireError extends Error {
  readonly fault: WireFault;
  constructor(fault: WireFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "WireError";
    this.fault = fault;
  }
}
