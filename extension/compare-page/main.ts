/** The compare page: shows what the window sends and says which button was pressed. Runs in a webview; knows no file and no service. */
import { showMessage, type CompareSide, type PageMessage, type ShowMessage } from "../compare/messages.ts";
import { element, filled } from "./dom.ts";
import { differenceText, drawView, pictureOf, VIEWS, type Picture, type View } from "./pictures.ts";

declare function acquireVsCodeApi(): {
  postMessage(message: PageMessage): void;
  getState(): unknown;
  setState(state: { readonly view: View }): void;
};

const host = acquireVsCodeApi();
/** Addresses of the bytes that are shown; given back when others are. */
const addresses: string[] = [];
let turn = 0;

window.addEventListener("message", (event: MessageEvent<unknown>) => {
  const parsed = showMessage.safeParse(event.data);
  if (parsed.success) void show(parsed.data);
});
host.postMessage({ kind: "ready" });

async function show(message: ShowMessage): Promise<void> {
  const mine = ++turn;
  for (const address of addresses.splice(0)) URL.revokeObjectURL(address);
  document.title = message.title;
  const stage = element("main", { class: "stage" });
  const status = element("p", { class: "status", attributes: { role: "status" } });
  const facts = element("div", { class: "facts" }, [factsOf(message.left), factsOf(message.right)]);
  const views = element("div", { class: "views", attributes: { role: "radiogroup", "aria-label": message.words.views } });
  const header = element("header", {}, [element("h1", { text: message.title }), views, actionsOf(message)]);
  document.body.replaceChildren(header, stage, status, facts);
  if (message.as === "picture") await showPictures(message, { stage, status, views, facts }, () => mine === turn);
  else if (message.as === "sound" || message.as === "film") showPlayers(message, message.as, stage);
  else views.remove();
}

type Places = { readonly stage: HTMLElement; readonly status: HTMLElement; readonly views: HTMLElement; readonly facts: HTMLElement };

async function showPictures(message: ShowMessage, places: Places, isCurrent: () => boolean): Promise<void> {
  const { left, right, words } = message;
  const [one, other] = await Promise.all([pictureFor(left), pictureFor(right)]);
  if (!isCurrent()) return;
  for (const [at, picture] of [one, other].entries()) {
    if (picture === null || picture === "none") continue;
    const size = filled(words.dimensions, String(picture.width), String(picture.height));
    places.facts.children[at]?.querySelector("h2")?.after(element("p", { class: "size", text: size }));
  }
  if (one === null || other === null || one === "none" || other === "none") {
    places.views.remove();
    places.stage.replaceChildren(element("div", { class: "pair" }, [halfOf(left, one, words), halfOf(right, other, words)]));
    return;
  }
  const labels = [left.label, right.label] as const;
  const draw = (view: View): void => {
    host.setState({ view });
    places.stage.replaceChildren(drawView(view, one, other, words, labels));
    places.status.textContent = view === "difference" ? differenceText(one, other, words) : "";
  };
  choices(places.views, message, draw);
}

/** `none`: no bytes; null: bytes that are no picture. */
async function pictureFor(side: CompareSide): Promise<Picture | null | "none"> {
  return side.bytes === null ? "none" : await pictureOf(side, addressOf(side, side.bytes));
}

function halfOf(side: CompareSide, picture: Picture | null | "none", words: ShowMessage["words"]): HTMLElement {
  const caption = element("figcaption", { text: side.label });
  if (picture === "none" || picture === null)
    return element("figure", {}, [element("p", { class: "absent", text: picture === null ? words.noPicture : words.noBytes }), caption]);
  return element("figure", {}, [element("div", { class: "ground" }, [picture.image]), caption]);
}

function showPlayers(message: ShowMessage, as: "sound" | "film", stage: HTMLElement): void {
  const pair = element("div", { class: "pair" });
  for (const side of [message.left, message.right]) {
    const caption = element("figcaption", { text: side.label });
    const player = element(as === "sound" ? "audio" : "video", {
      attributes: { controls: "", preload: "metadata", "aria-label": side.label },
    });
    if (side.bytes !== null) player.src = addressOf(side, side.bytes);
    const shown = side.bytes === null ? element("p", { class: "absent", text: message.words.noBytes }) : player;
    pair.append(element("figure", {}, [shown, caption]));
  }
  stage.replaceChildren(pair);
  document.querySelector(".views")?.remove();
}

/** One of four, by mouse, arrow keys or the numbers 1 to 4. */
function choices(group: HTMLElement, { words, focus: takes }: ShowMessage, draw: (view: View) => void): void {
  const buttons = VIEWS.map((view) => element("button", { text: words[view], attributes: { role: "radio", type: "button" } }));
  const choose = (at: number, focus: boolean): void => {
    const index = (at + VIEWS.length) % VIEWS.length;
    for (const [other, button] of buttons.entries()) {
      button.setAttribute("aria-checked", String(other === index));
      button.tabIndex = other === index ? 0 : -1;
    }
    if (focus) buttons[index]?.focus();
    draw(VIEWS[index] ?? "sideBySide");
  };
  for (const [at, button] of buttons.entries()) {
    button.addEventListener("click", () => choose(at, false));
    button.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowRight" || key === "ArrowDown") choose(at + 1, true);
      if (key === "ArrowLeft" || key === "ArrowUp") choose(at - 1, true);
    });
  }
  document.addEventListener("keydown", (event) => {
    const at = ["1", "2", "3", "4"].indexOf(event.key);
    if (at >= 0 && group.isConnected && !event.ctrlKey && !event.metaKey && !event.altKey) choose(at, true);
  });
  group.replaceChildren(...buttons);
  const kept = host.getState();
  const view = typeof kept === "object" && kept !== null && "view" in kept ? kept.view : "sideBySide";
  const at = VIEWS.findIndex((one) => one === view);
  choose(Math.max(0, at), takes);
}

function actionsOf({ actions }: ShowMessage): HTMLElement {
  const row = element("div", { class: "actions" });
  for (const { id, label, hint } of actions) {
    const button = element("button", { text: label, attributes: { type: "button", title: hint } });
    button.addEventListener("click", () => host.postMessage({ kind: "act", id }));
    row.append(button);
  }
  return row;
}

function factsOf(side: CompareSide): HTMLElement {
  const list = element("dl");
  for (const { name, value } of side.facts) list.append(element("dt", { text: name }), element("dd", { text: value }));
  return element("section", { attributes: { "aria-label": side.label } }, [element("h2", { text: side.label }), list]);
}

function addressOf({ mime }: CompareSide, bytes: Uint8Array): string {
  const address = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: mime }));
  addresses.push(address);
  return address;
}
