/** As much of the editor's API as the extension's words and trees need, so that they run in plain Node. `speak` says in which language. */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import path from "node:path";

const L10N = path.join(import.meta.dirname, "..", "..", "extension", "l10n");

/** From here on `import … from "vscode"` gets this file: import the extension's modules after it, by `await import`. */
registerHooks({
  resolve: (specifier, context, next) => (specifier === "vscode" ? { url: import.meta.url, shortCircuit: true } : next(specifier, context)),
});

type Bundle = Readonly<Record<string, string>>;
export const l10n = {
  bundle: undefined as Bundle | undefined,
  t: (text: string, ...values: readonly (string | number)[]): string =>
    (l10n.bundle?.[text] ?? text).replaceAll(/\{(\d)\}/g, (_, at: string) => String(values[Number(at)])),
};
export const env = { language: "en" };

export function speak(language: "en" | "de"): void {
  env.language = language;
  l10n.bundle = language === "en" ? undefined : JSON.parse(readFileSync(path.join(L10N, `bundle.l10n.${language}.json`), "utf8"));
}

export const TreeItemCollapsibleState = { None: 0, Collapsed: 1, Expanded: 2 } as const;
export const TreeItemCheckboxState = { Unchecked: 0, Checked: 1 } as const;

export class TreeItem {
  readonly label: string;
  readonly collapsibleState: number;
  constructor(label: string, collapsibleState: number) {
    this.label = label;
    this.collapsibleState = collapsibleState;
  }
}

export class ThemeColor {
  readonly id: string;
  constructor(id: string) {
    this.id = id;
  }
}

export class ThemeIcon {
  readonly id: string;
  constructor(id: string) {
    this.id = id;
  }
}

export class Position {
  readonly line: number;
  readonly character: number;
  constructor(line: number, character: number) {
    this.line = line;
    this.character = character;
  }
  translate(lines: number, characters: number): Position {
    return new Position(this.line + lines, this.character + characters);
  }
}

export class Range {
  readonly start: Position;
  readonly end: Position;
  constructor(start: Position, end: Position) {
    this.start = start;
    this.end = end;
  }
}

export class EventEmitter<Data> {
  readonly #listeners = new Set<(data: Data) => void>();
  readonly event = (listener: (data: Data) => void): { dispose(): void } => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };
  fire(data: Data): void {
    for (const listener of this.#listeners) listener(data);
  }
  dispose(): void {
    this.#listeners.clear();
  }
}

export const Uri = { file: (fsPath: string) => ({ scheme: "file", fsPath }) };
