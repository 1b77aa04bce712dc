/** A reporter for node:test: the files in which a test failed, a line each. */
type Told = { readonly type: string; readonly data: { readonly file?: string | undefined } };

// oxlint-disable-next-line import/no-default-export -- what the runner asks of a reporter
export default async function* failedFiles(events: AsyncIterable<Told>): AsyncGenerator<string> {
  const files = new Set<string>();
  for await (const { type, data } of events) {
    if (type !== "test:fail" || data.file === undefined || files.has(data.file)) continue;
    files.add(data.file);
    yield `${data.file}\n`;
  }
}
