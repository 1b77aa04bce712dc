/** Elements from code: text is always text, never markup (EX01). */

type Properties = {
  readonly class?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string>>;
};

export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  { class: classes, text, attributes = {} }: Properties = {},
  children: readonly Node[] = [],
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  if (classes !== undefined) made.className = classes;
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** `{0}`, `{1}` … in a text of the window. */
export function filled(text: string, ...values: readonly string[]): string {
  return text.replaceAll(/\{(\d)\}/g, (whole, at: string) => values[Number(at)] ?? whole);
}
