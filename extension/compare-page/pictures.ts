/** Two pictures in four ways: side by side, with a divider, one through the other, and only what differs. */
import type { CompareSide, CompareWords } from "../compare/messages.ts";
import { difference, type Pixels } from "../compare/pixels.ts";
import { element, filled } from "./dom.ts";

export const VIEWS = ["sideBySide", "swipe", "onion", "difference"] as const;
export type View = (typeof VIEWS)[number];

export type Picture = { readonly image: HTMLImageElement; readonly width: number; readonly height: number };
/** More points than this are compared at a smaller scale: 64 MiB of bytes for each picture. */
const POINTS_MAX = 16 * 1024 * 1024;
/** A drawing without a size of its own. */
const UNSIZED = 300;

/** null: the editor can't show these bytes as a picture. */
export async function pictureOf(side: CompareSide, address: string): Promise<Picture | null> {
  const image = element("img", { attributes: { alt: side.label, draggable: "false" } });
  image.src = address;
  try {
    await image.decode();
  } catch {
    return null;
  }
  return { image, width: image.naturalWidth || UNSIZED, height: image.naturalHeight || UNSIZED };
}

/** What one view shows. `say`: for the line that is read out. */
export function drawView(view: View, left: Picture, right: Picture, words: CompareWords, labels: readonly [string, string]): HTMLElement {
  switch (view) {
    case "sideBySide":
      return element("div", { class: "pair" }, [framed(left, labels[0]), framed(right, labels[1])]);
    case "swipe":
      return layered(left, right, { label: words.divider, labels, class: "swipe" });
    case "onion":
      return layered(left, right, { label: words.opacity, labels, class: "onion" });
    case "difference":
      return differing(left, right);
  }
}

/** What differs, in a sentence. */
export function differenceText(left: Picture, right: Picture, words: CompareWords): string {
  const compared = compare(left, right);
  if (compared === null) return words.noPicture;
  const isOtherSize = left.width !== right.width || left.height !== right.height;
  const share = (compared.differing / compared.points) * 100;
  const text =
    compared.differing === 0 && !isOtherSize
      ? words.same
      : filled(words.differing, share > 0 && share < 0.1 ? "< 0.1" : share.toFixed(share < 10 ? 1 : 0));
  return isOtherSize ? `${text} ${words.otherSize}` : text;
}

function framed({ image }: Picture, label: string): HTMLElement {
  return element("figure", {}, [element("div", { class: "ground" }, [image.cloneNode(true)]), element("figcaption", { text: label })]);
}

/** Both in one place, each at its own share of the larger one's size, so that equal points lie on each other. */
function stacked(left: Picture, right: Picture): HTMLElement {
  const width = Math.max(left.width, right.width);
  const height = Math.max(left.height, right.height);
  const stack = element("div", { class: "stack ground" });
  stack.style.setProperty("--ratio", `${String(width)} / ${String(height)}`);
  stack.style.setProperty("--width", `${String(width)}px`);
  for (const [name, picture] of [
    ["under", left],
    ["over", right],
  ] as const) {
    const layer = element("div", { class: `layer ${name}` });
    const image = picture.image.cloneNode(true);
    if (image instanceof HTMLElement) {
      image.style.width = `${String((picture.width / width) * 100)}%`;
      image.style.height = `${String((picture.height / height) * 100)}%`;
    }
    layer.append(image);
    stack.append(layer);
  }
  return stack;
}

type Layers = { readonly label: string; readonly labels: readonly [string, string]; readonly class: string };

function layered(left: Picture, right: Picture, { label, labels, class: classes }: Layers): HTMLElement {
  const stack = stacked(left, right);
  stack.classList.add(classes);
  const slider = element("input", {
    class: "slider",
    attributes: { type: "range", min: "0", max: "100", step: "1", value: "50", "aria-label": label },
  });
  const move = (): void => stack.style.setProperty("--at", `${slider.value}%`);
  slider.addEventListener("input", move);
  move();
  // The divider follows the pointer as well.
  stack.addEventListener("pointermove", (event) => {
    if (event.buttons !== 1) return;
    const { left: from, width } = stack.getBoundingClientRect();
    slider.value = String(Math.round(((event.clientX - from) / width) * 100));
    move();
  });
  const ends = element("div", { class: "ends" }, [element("span", { text: labels[0] }), slider, element("span", { text: labels[1] })]);
  return element("div", { class: "layers" }, [stack, ends]);
}

function differing(left: Picture, right: Picture): HTMLElement {
  const compared = compare(left, right);
  const canvas = element("canvas", { class: "ground", attributes: { role: "img" } });
  if (compared === null) return element("div", { class: "layers" }, []);
  canvas.width = compared.picture.width;
  canvas.height = compared.picture.height;
  const { data, width, height } = compared.picture;
  canvas.getContext("2d")?.putImageData(new ImageData(Uint8ClampedArray.from(data), width, height), 0, 0);
  return element("div", { class: "layers" }, [canvas]);
}

/** null: the points can't be read. */
function compare(left: Picture, right: Picture): ReturnType<typeof difference> | null {
  const points = Math.max(left.width, right.width) * Math.max(left.height, right.height);
  const scale = Math.min(1, Math.sqrt(POINTS_MAX / points));
  const [mine, theirs] = [pixelsOf(left, scale), pixelsOf(right, scale)];
  return mine === null || theirs === null ? null : difference(mine, theirs);
}

function pixelsOf({ image, width, height }: Picture, scale: number): Pixels | null {
  const canvas = element("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) return null;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  try {
    return context.getImageData(0, 0, canvas.width, canvas.height);
  } catch {
    // A drawing that embeds other documents may not be read back.
    return null;
  }
}
