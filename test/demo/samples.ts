/** The demo's media: pictures and tones of many colours and pitches. */
import { png, wav } from "../support/pictures.ts";

/** A gradient of `size` × `size` pixels whose colours follow from `hue` (0–255). */
export function picture(size: number, hue: number): Buffer {
  return png(size, size, (x, y) => [(hue + x) & 0xff, (hue * 2 + y) & 0xff, ((x ^ y) + hue * 3) & 0xff]);
}

/** A tone of `hertz` for `seconds`. */
export function tone(seconds: number, hertz: number): Buffer {
  return wav(hertz, seconds * 1000);
}
