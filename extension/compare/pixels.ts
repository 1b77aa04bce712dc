/** How two pictures differ, point by point. Pure. */

/** RGBA, four bytes a point, row by row, as a canvas hands it out. */
export type Pixels = { readonly width: number; readonly height: number; readonly data: Uint8ClampedArray };

export type Difference = {
  /** What both show is pale, what differs stands out. As large as the larger of both, in each direction. */
  readonly picture: Pixels;
  readonly points: number;
  readonly differing: number;
};

/** Below this sum over the channels nobody sees it: another encoder rounds so. */
const UNSEEN = 6;
const PALE = 0.25;
/** Magenta stands out from photographs, maps and text alike, in light and dark themes. */
const MARK = [230, 0, 120] as const;

/** Points that only one picture has count as differing. */
export function difference(one: Pixels, other: Pixels): Difference {
  const width = Math.max(one.width, other.width);
  const height = Math.max(one.height, other.height);
  const data = new Uint8ClampedArray(width * height * 4);
  let differing = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const mine = offsetOf(one, x, y);
      const theirs = offsetOf(other, x, y);
      const to = (y * width + x) * 4;
      const apart = mine === null || theirs === null ? 255 * 4 : distance(one.data, mine, other.data, theirs);
      if (apart > UNSEEN) {
        differing += 1;
        mark(data, to, apart);
      } else pale(data, to, one.data, mine ?? 0);
    }
  }
  return { picture: { width, height, data }, points: width * height, differing };
}

function offsetOf({ width, height }: Pixels, x: number, y: number): number | null {
  return x < width && y < height ? (y * width + x) * 4 : null;
}

/** Two clear points are the same, whatever colour lies below. */
function distance(one: Uint8ClampedArray, a: number, other: Uint8ClampedArray, b: number): number {
  const seen = (data: Uint8ClampedArray, at: number): number => (data[at + 3] ?? 0) / 255;
  const [mine, theirs] = [seen(one, a), seen(other, b)];
  let sum = Math.abs(mine - theirs) * 255;
  for (const channel of [0, 1, 2]) sum += Math.abs((one[a + channel] ?? 0) * mine - (other[b + channel] ?? 0) * theirs);
  return sum;
}

/** Small differences are marked too, only lighter. */
function mark(data: Uint8ClampedArray, to: number, apart: number): void {
  const strength = 0.45 + 0.55 * Math.min(1, apart / 255);
  for (const [channel, value] of MARK.entries()) data[to + channel] = 255 - (255 - value) * strength;
  data[to + 3] = 255;
}

function pale(data: Uint8ClampedArray, to: number, from: Uint8ClampedArray, at: number): void {
  const grey = 0.299 * (from[at] ?? 0) + 0.587 * (from[at + 1] ?? 0) + 0.114 * (from[at + 2] ?? 0);
  const value = 255 - (255 - grey) * PALE * ((from[at + 3] ?? 0) / 255);
  data.fill(value, to, to + 3);
  data[to + 3] = 255;
}
