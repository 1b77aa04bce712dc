/** Server-sent events of our own server: hints that the feed has grown (DESIGN §11 "Server"). */

/** A line longer than this is none of ours. */
const LINE_CHARS_MAX = 4096;

/** The `data` of each event; ends with the stream. @throws RangeError for a line that is too long. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARS_MAX) throw new RangeError("events: a line is longer than any that is expected");
    for (const line of lines) {
      if (line !== "") {
        // Comments (":") and fields other than data (event, id, retry) carry nothing for us.
        const value = /^data:? ?(.*)$/.exec(line)?.[1];
        if (value !== undefined) data.push(value);
        if (data.length > 16) throw new RangeError("events: an event has more lines than any that is expected");
        continue;
      }
      if (data.length > 0) yield data.join("\n");
      data = [];
    }
  }
}
