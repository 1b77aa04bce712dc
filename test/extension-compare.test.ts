import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { compareHtml } from "../extension/compare/html.ts";
import { hasSource, kindOf } from "../extension/compare/kinds.ts";
import { pageMessage, type CompareSide, type ShowMessage } from "../extension/compare/messages.ts";
import { difference, type Pixels } from "../extension/compare/pixels.ts";
import { noBrowser } from "./support/browser.ts";
import { openCompareBrowser, type CompareBrowser } from "./support/compare-page.ts";
import { png, wav, type Colour } from "./support/pictures.ts";

function pixels(width: number, height: number, colourAt: (x: number, y: number) => Colour): Pixels {
  const points = Array.from({ length: width * height }, (_, at) => colourAt(at % width, Math.floor(at / width)));
  return { width, height, data: Uint8ClampedArray.from(points.flatMap(([red, green, blue, alpha = 255]) => [red, green, blue, alpha])) };
}
const grey = (value: number): Colour => [value, value, value];

test("difference() equal pictures differ nowhere; what only one has differs", () => {
  const plain = pixels(4, 3, () => grey(100));
  assert.equal(difference(plain, plain).differing, 0);
  const taller = difference(
    plain,
    pixels(4, 5, () => grey(100)),
  );
  assert.deepEqual([taller.differing, taller.points, taller.picture.width, taller.picture.height], [8, 20, 4, 5]);
});

test("difference() marks the points that differ and no others; rounding of an encoder is not seen", () => {
  const one = pixels(3, 1, () => grey(100));
  const other = pixels(3, 1, (x) => (x === 0 ? grey(101) : x === 1 ? grey(100) : [200, 0, 0]));
  const { differing, picture } = difference(one, other);
  assert.equal(differing, 1);
  const [unseen, same, marked] = [0, 4, 8].map((at) => [...picture.data.subarray(at, at + 3)]);
  assert.deepEqual(unseen, same);
  assert.ok(unseen !== undefined && new Set(unseen).size === 1, "pale grey");
  assert.ok(marked !== undefined && (marked[0] ?? 0) > 200 && (marked[1] ?? 255) < 60, String(marked));
});

test("difference() clear points are equal, whatever colour lies below", () => {
  const one = pixels(1, 1, () => [255, 0, 0, 0]);
  const other = pixels(1, 1, () => [0, 255, 0, 0]);
  assert.equal(difference(one, other).differing, 0);
  assert.equal(
    difference(
      one,
      pixels(1, 1, () => [0, 0, 0, 255]),
    ).differing,
    1,
  );
});

const text = (value: string): Uint8Array => Buffer.from(value);
const kinds: readonly (readonly [path: string, head: readonly Uint8Array[], as: string])[] = [
  ["a/b.PNG", [], "picture"],
  ["a.svg", [text("<svg/>")], "picture"],
  ["a.mp3", [], "sound"],
  ["a.webm", [], "film"],
  ["a.md", [], "text"],
  ["notes", [text("plain"), text("other")], "text"],
  ["notes", [], "facts"],
  ["notes", [text("plain"), Buffer.from([0xff, 0xfe, 0x00])], "facts"],
  ["deck.apkg", [Buffer.from([0x50, 0x4b, 0x03, 0x04]), text("x")], "facts"],
  ["cut", [Buffer.from("ü").subarray(0, 1), text("x")], "text"],
  ["a.b/c", [text("")], "text"],
];
for (const [path, head, as] of kinds)
  test(`kindOf() ${path} (${head.length} heads) as ${as}`, () => assert.equal(kindOf(path, head).as, as));

test("hasSource() of a drawing only", () => {
  assert.deepEqual([hasSource(kindOf("a.svg", [])), hasSource(kindOf("a.png", []))], [true, false]);
});

test("compareHtml() EX01 lets nothing run or load that it does not name, and quotes what it is given", () => {
  const html = compareHtml({ nonce: 'x" onload="y', cspSource: "https://a.example", script: '/s"><b>', style: "/s.css", language: "en" });
  assert.match(html, /default-src 'none'; script-src 'nonce-/);
  assert.ok(!/unsafe|https:\/\/(?!a\.example)|\*/.test(html), html);
  assert.ok(!html.includes('" onload="') && !html.includes("<b>"), html);
});

for (const [what, message] of [
  ["another kind", { kind: "open", path: "/etc/passwd" }],
  ["more than is asked for", { kind: "act", id: "mine", path: "/etc/passwd" }],
  ["an endless id", { kind: "act", id: "x".repeat(41) }],
  ["no object", "ready"],
  ["nothing", undefined],
] as const)
  test(`pageMessage EX04 refuses ${what}`, () => assert.equal(pageMessage.safeParse(message).success, false));

const WORDS: ShowMessage["words"] = {
  views: "View",
  sideBySide: "Side by side",
  swipe: "Swipe",
  onion: "Onion skin",
  difference: "Difference",
  divider: "Divider",
  opacity: "Opacity",
  dimensions: "{0} × {1} points",
  noPicture: "not a picture that can be shown",
  noBytes: "not kept any more",
  same: "No point differs.",
  differing: "{0} % of the points differ.",
  otherSize: "The sizes differ.",
};
const side = (label: string, bytes: Uint8Array | null, mime: string): CompareSide => ({
  label,
  // A Buffer would turn itself into something else on its way.
  bytes: bytes === null ? null : Uint8Array.from(bytes),
  mime,
  facts: [{ name: "Size", value: `${String(bytes?.length ?? 0)} B` }],
});
const message = (as: ShowMessage["as"], left: CompareSide, right: CompareSide, more: Partial<ShowMessage> = {}): ShowMessage => ({
  kind: "show",
  title: "p.png",
  as,
  left,
  right,
  actions: [
    { id: "mine", label: "Keep Mine", hint: "the other is kept as a version" },
    { id: "both", label: "Keep Both", hint: "" },
  ],
  focus: true,
  words: WORDS,
  ...more,
});
const red = png(40, 20, () => [200, 30, 30]);
const redWithBlue = png(40, 20, (x, y) => (x < 10 && y < 10 ? [30, 30, 200] : [200, 30, 30]));

suite("the compare page", { skip: noBrowser }, () => {
  let browser: CompareBrowser;
  before(async () => (browser = await openCompareBrowser()));
  after(async () => await browser.close());

  test("pictures: four views by keyboard, what differs is told, the chosen answer is said", async () => {
    const { page, show, said, refused, requested } = await browser.open();
    await show(message("picture", side("This device", red, "image/png"), side("Remote", redWithBlue, "image/png")));
    await page.getByRole("radio", { name: "Side by side", checked: true }).waitFor();
    assert.deepEqual(await page.locator(".size").allInnerTexts(), ["40 × 20 points", "40 × 20 points"]);
    assert.equal(await page.locator(".pair img").count(), 2);
    await page.keyboard.press("ArrowRight");
    const divider = page.getByRole("slider", { name: "Divider" });
    await divider.focus();
    await page.keyboard.press("End");
    assert.equal(await page.evaluate("document.querySelector('.stack').style.getPropertyValue('--at')"), "100%");
    await page.keyboard.press("3");
    await page.getByRole("slider", { name: "Opacity" }).waitFor();
    await page.keyboard.press("4");
    await page.getByRole("radio", { name: "Difference", checked: true }).waitFor();
    assert.equal(await page.getByRole("status").innerText(), "13 % of the points differ.");
    const point = "[...document.querySelector('canvas').getContext('2d').getImageData(5, 5, 1, 1).data.slice(0, 3)]";
    assert.deepEqual(await page.evaluate(point), [230, 0, 120]);
    await page.getByRole("button", { name: "Keep Both" }).focus();
    await page.keyboard.press("Enter");
    assert.deepEqual(said, [{ kind: "ready" }, { kind: "act", id: "both" }]);
    assert.deepEqual([refused, requested], [[], []]);
  });

  test("pictures of other sizes lie on each other point by point", async () => {
    const { page, show } = await browser.open();
    const larger = png(80, 20, () => [200, 30, 30]);
    await show(message("picture", side("This device", red, "image/png"), side("Remote", larger, "image/png")));
    await page.getByRole("radio", { name: "Side by side", checked: true }).waitFor();
    await page.keyboard.press("2");
    await page.locator(".stack img").nth(1).waitFor();
    assert.deepEqual(await page.evaluate("[...document.querySelectorAll('.stack img')].map((image) => image.style.width)"), [
      "50%",
      "100%",
    ]);
    await page.keyboard.press("4");
    assert.equal(await page.getByRole("status").innerText(), "50 % of the points differ. The sizes differ.");
  });

  test("EX01 a hostile name, label and fact are text", async () => {
    const { page, show, refused, requested } = await browser.open();
    const hostile = '<img src=x onerror="tell(1)"><script>tell(2)</script>.png';
    const left = { ...side(hostile, null, "image/png"), facts: [{ name: hostile, value: hostile }] };
    await show(
      message("facts", left, side("Remote", null, "image/png"), { title: hostile, actions: [{ id: "x", label: hostile, hint: hostile }] }),
    );
    await page.locator("h1").waitFor();
    assert.equal(await page.locator("h1").innerText(), hostile);
    assert.equal(await page.locator("img, body script").count(), 0);
    assert.deepEqual([refused, requested], [[], []]);
  });

  test("EX12 a drawing with a script, an outside picture and a foreign document is shown and does nothing", async () => {
    const { page, show, said, requested } = await browser.open();
    const evil = Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30" onload="tell(1)"><script>tell(2); fetch("http://127.0.0.1:9/x")</script>
       <image href="http://127.0.0.1:9/pixel.png" width="9" height="9"/><rect width="30" height="30" fill="green"/>
       <foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" src="http://127.0.0.1:9/y"></iframe></foreignObject></svg>`,
    );
    await show(message("picture", side("This device", evil, "image/svg+xml"), side("Remote", evil, "image/svg+xml")));
    await page.locator(".pair img").first().waitFor();
    await page.keyboard.press("4");
    await page.getByRole("radio", { name: "Difference", checked: true }).waitFor();
    assert.deepEqual(said, [{ kind: "ready" }]);
    assert.deepEqual(requested, []);
  });

  test("the policy refuses a script and a picture from elsewhere", async () => {
    const { page, show, said, refused } = await browser.open();
    await show(message("facts", side("a", null, ""), side("b", null, "")));
    await page.locator("h1").waitFor();
    await page.evaluate(`
      const script = document.createElement("script"); script.textContent = "tell('ran')"; document.body.append(script);
      const image = document.createElement("img"); image.src = "http://127.0.0.1:9/x.png"; document.body.append(image);
      const inline = document.createElement("button"); inline.setAttribute("onclick", "tell('ran')"); document.body.append(inline); inline.click();
    `);
    await page.locator("img").waitFor({ state: "attached" });
    assert.deepEqual(said, [{ kind: "ready" }]);
    const directives = refused.map((what) => what.split(" ", 1).join("")).toSorted();
    assert.deepEqual(directives, ["img-src", "script-src-attr", "script-src-elem"]);
  });

  test("sound: both players can play what they were sent", async () => {
    const { page, show, refused } = await browser.open();
    await show(message("sound", side("This device", wav(440, 300), "audio/wav"), side("Remote", wav(880, 600), "audio/wav")));
    await page.getByLabel("Remote").first().waitFor();
    const lengths = `Promise.all([...document.querySelectorAll("audio")].map((player) => player.readyState > 0 ? player.duration
      : new Promise((resolve) => { player.onloadedmetadata = () => resolve(player.duration); player.onerror = () => resolve(-1); })))`;
    assert.deepEqual(await page.evaluate(lengths), [0.3, 0.6]);
    assert.deepEqual(refused, []);
  });

  test("bytes that are no picture, and bytes that are gone, are said to be so; the facts stay", async () => {
    const { page, show } = await browser.open();
    await show(message("picture", side("This device", Buffer.from("no picture"), "image/png"), side("Remote", null, "image/png")));
    await page.getByText("not kept any more").waitFor();
    assert.equal(await page.getByText("not a picture that can be shown").count(), 1);
    assert.equal(await page.getByRole("radio").count(), 0);
    assert.equal(await page.locator("dd").first().innerText(), "10 B");
  });

  test("EX04 a message of another shape shows nothing", async () => {
    const { page, send, show } = await browser.open();
    await send({ kind: "show", title: "forged", as: "picture" });
    await send({ ...message("facts", side("a", null, ""), side("b", null, "")), extra: 1, title: "forged too" });
    await show(message("facts", side("a", null, ""), side("b", null, ""), { title: "real" }));
    await page.getByRole("heading", { name: "real" }).waitFor();
    assert.equal(await page.getByText("forged").count(), 0);
  });
});
