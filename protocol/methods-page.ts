/** `protocol/METHODS.md`, made from the tables: what can be called, what comes back, what can go wrong, what can be set. */
import { EVENT_KINDS } from "./events.ts";
import { COMMAND_SHAPES, commandError } from "./command-shapes.ts";
import { settingsReference } from "./config.ts";
import { ALWAYS, jsonSchema, type ContentDescriptor, type MethodEntry, type OpenRpcDocument, type Schema } from "./openrpc.ts";

/** The command line's own table, handed in: this place knows no command line. */
export type ExitCodes = readonly { readonly code: number; readonly meaning: string }[];

type Row = readonly string[];

export function methodsPage(document: OpenRpcDocument, exitCodes: ExitCodes): string {
  const { methods, components } = document;
  const parts = [
    "# Methods, events, errors, settings",
    `Made from the tables in \`protocol/\` by \`npm run -s contract\`; a test keeps them equal. Protocol version ${document["x-protocol-version"]}.\nHow to connect, and what holds for every method, is in [SPEC.md](SPEC.md) §5. The same for programs: [openrpc.json](openrpc.json), or the method \`rpc.discover\`.`,
    "Times are milliseconds since 1970 and end in `AtMs` (or `At`), durations end in `Ms`, sizes are bytes of file content and end in `Bytes`. A `?` marks what may be left out.",
    table(
      ["method", "scope", "does"],
      methods.map(({ name, ...one }) => [link(name), one["x-scope"], firstSentence(one.description)]),
    ),
    "## Methods",
    `Beside its own errors every method may answer with ${ALWAYS.map((code) => codeText(document, code)).join(", ")}.`,
    ...methods.flatMap((one) => methodPart(one, document)),
    "## Shapes",
    ...Object.entries(components.schemas).flatMap(([name, schema]) => [`### ${name}`, fieldTable("field", schema)]),
    "## Notifications",
    ...Object.entries(document["x-notifications"]).flatMap(([name, schema]) => [
      `### ${name}`,
      schema.$ref === undefined ? fieldTable("parameter", schema) : `Parameters: ${typeText(schema)}.`,
    ]),
    "## Events",
    "Numbered and durable (30 days, 100 000), one sequence for all folders. New kinds may appear: ignore those you don't know.",
    table(
      ["kind", "says", "`data`"],
      Object.keys(EVENT_KINDS).map((kind) => eventRow(kind, document)),
    ),
    "## Errors",
    table(
      ["code", "name", "meaning"],
      Object.entries(components.errors).map(([name, { code, message }]) => [String(code), name, message]),
    ),
    "`data.fault` repeats the engine's word for it; −32603 carries `data.id`, under which the log has the details.",
    "## Exit codes",
    "Of the command line. Where several hold, the first of 6, 4, 7, 3, 1, 0 is told. `sync` tells of the runs that it waited for, `status` of all that is open, older conflicts too.",
    table(
      ["code", "meaning"],
      exitCodes.map(({ code, meaning }) => [String(code), meaning]),
    ),
    ...commandsPart(),
    ...settingsPart(),
  ];
  return `${parts.join("\n\n")}\n`;
}

function methodPart(one: MethodEntry, document: OpenRpcDocument): readonly string[] {
  const own = one.errors.filter(({ code }) => !ALWAYS.some((always) => always === code)).map(({ code }) => codeText(document, code));
  const facts = [`Scope \`${one["x-scope"]}\``, ...(own.length === 0 ? [] : [`errors ${own.join(", ")}`]), one["x-source"]];
  return [
    `### ${one.name}`,
    one.description,
    `${facts.join(" · ")}.`,
    one.params.length === 0 ? "No parameters." : table(["parameter", "type", "meaning"], one.params.map(parameterRow)),
    resultText(one.result.schema),
  ];
}

function parameterRow({ name, required, schema }: ContentDescriptor): Row {
  return [`\`${name}${required ? "" : "?"}\``, typeText(schema), meaningOf(schema)];
}

function resultText(schema: Schema): string {
  if (schema.$ref !== undefined) return `Result: ${typeText(schema)}.`;
  if (Object.keys(schema.properties ?? {}).length === 0) return "Result: `{}`.";
  return fieldTable("result", schema);
}

function fieldTable(what: string, schema: Schema): string {
  return table([what, "type", "meaning"], fieldRows(schema, ""));
}

/** One row a field; what lies inside an unnamed shape follows it, under its path. */
function fieldRows({ properties = {}, required = [] }: Schema, prefix: string): readonly Row[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = `${prefix}${name}`;
    const inside = insideOf(schema);
    const row = [`\`${path}${required.includes(name) ? "" : "?"}\``, typeText(schema), meaningOf(schema)];
    return inside === null ? [row] : [row, ...fieldRows(inside.schema, `${path}${inside.suffix}`)];
  });
}

function insideOf(schema: Schema): { readonly schema: Schema; readonly suffix: string } | null {
  if (schema.properties !== undefined) return { schema, suffix: "." };
  if (schema.items?.properties !== undefined) return { schema: schema.items, suffix: "[]." };
  return null;
}

function eventRow(kind: string, document: OpenRpcDocument): Row {
  const schema = document["x-event-kinds"][kind] ?? {};
  const fields = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const mark = schema.required?.includes(name) === true ? "" : "?";
    return `\`${name}${mark}\` ${typeText(field)}${meaningOf(field) === "" ? "" : ` (${lowerFirst(meaningOf(field).replace(/\.$/, ""))})`}`;
  });
  const data = schema.properties === undefined ? typeText({ ...schema, description: "" }) : fields.join("; ");
  return [`\`${kind}\``, schema.description ?? "", data === "" ? "–" : data];
}

/** The type as a TypeScript reader would write it, names linked. */
function typeText(schema: Schema): string {
  if (schema.$ref !== undefined) return link(schema.$ref.replace(/^.*\//, ""));
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(" \\| ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(" \\| ");
  if (schema.allOf !== undefined) return schema.allOf.map(typeText).join(" & ");
  if (Array.isArray(schema.type)) return schema.type.join(" \\| ");
  if (schema.type === "array") return `array of ${typeText(schema.items ?? {})}`;
  if (schema.type === "object" && typeof schema.additionalProperties === "object")
    return `object of ${typeText(schema.additionalProperties)}`;
  if (typeof schema.type !== "string") return "any";
  const limits = limitsOf(schema);
  return limits === "" ? schema.type : `${schema.type} (${limits})`;
}

/** Limits that were chosen; that an integer is a safe one is none. */
function limitsOf(schema: Schema): string {
  const { minimum, maximum, minLength, maxLength, pattern } = schema;
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (pattern !== undefined) return `\`${pattern.replaceAll("|", "\\|")}\``;
  if (maxLength !== undefined) return `${minLength ?? 0} to ${maxLength} characters`;
  if (most !== undefined) return `${minimum === Number.MIN_SAFE_INTEGER ? "" : `${minimum ?? ""} to `}${most}`;
  return minimum === undefined || minimum === Number.MIN_SAFE_INTEGER ? "" : `from ${minimum}`;
}

/** Its own words, or those of the one type it may have beside null. */
function meaningOf(schema: Schema): string {
  const inner = schema.anyOf?.find(({ type }) => type !== "null");
  return schema.description ?? inner?.description ?? "";
}

function commandsPart(): readonly string[] {
  const error = outline(jsonSchema(commandError, {}));
  return [
    "## What `--json` prints",
    "On stdout, one object; where the table says “lines”, one object a line. These keys stay, more may come beside them. `rpc` prints a method's result as it is.",
    `An error, also one of wrong arguments, is the last line of stderr: ${error}, with the process's exit code, the service's error code where it was the service that refused, and with \`-v\` what is known beside it.`,
    table(
      ["command", "prints"],
      Object.entries(COMMAND_SHAPES).map(([words, { lines, says, shape }]) => [
        `\`${words}\``,
        [lines ? "lines: " : "", outline(jsonSchema(shape, {})), says === "" ? "" : ` · ${says}`].join(""),
      ]),
    ),
  ];
}

/** A shape in one line; what has a name is linked. */
function outline(schema: Schema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(outline).join(" \\| ");
  if (schema.allOf !== undefined) return schema.allOf.map(outline).join(" & ");
  if (schema.type === "array") return `array of ${outline(schema.items ?? {})}`;
  const { properties, required = [] } = schema;
  if (properties === undefined) return typeText({ ...schema, description: "" });
  const fields = Object.entries(properties).map(([name, field]) => {
    const inner = insideOf(field) === null && field.anyOf === undefined ? "" : ` ${outline(field)}`;
    const named = field.$ref === undefined && field.items?.$ref === undefined ? inner : ` ${outline(field)}`;
    return `\`${name}${required.includes(name) ? "" : "?"}\`${named}`;
  });
  return `{ ${fields.join(", ")} }`;
}

function settingsPart(): readonly string[] {
  const { files, settings } = settingsReference();
  return [
    "## Settings",
    "`config.json` in the configuration directory (README, “Files”). Environment over file over default; they count from the next start. Lists in the environment are comma-separated.",
    table(
      ["setting", "environment", "type", "default", "meaning"],
      settings.map(({ key, variable, schema, value }) => [
        `\`${key}\``,
        `\`${variable}\``,
        typeText(schema),
        `\`${JSON.stringify(value)}\``,
        meaningOf(schema),
      ]),
    ),
    ...files.flatMap(({ key, says, schema }) => [
      `### ${key} in config.json`,
      says,
      table(["key", "type", "meaning"], fieldRows({ ...schema, required: Object.keys(schema.properties ?? {}) }, "")),
    ]),
  ];
}

function codeText({ components }: OpenRpcDocument, code: number): string {
  const named = Object.entries(components.errors).find(([, one]) => one.code === code);
  return `${code} ${named?.[0] ?? ""}`;
}

function firstSentence(text: string): string {
  return text.split(/(?<=\.)\s/)[0] ?? text;
}

function lowerFirst(text: string): string {
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
}

/** To a heading of this page. */
function link(name: string): string {
  return `[${name.includes("/") || name.includes(".") ? `\`${name}\`` : name}](#${name.toLowerCase().replace(/[^a-z0-9-]/g, "")})`;
}

function table(head: Row, rows: readonly Row[]): string {
  const widths = head.map((_, at) => Math.max(3, ...[head, ...rows].map((row) => (row[at] ?? "").length)));
  const line = (row: Row, fill: string) => `| ${row.map((cell, at) => cell + fill.repeat((widths[at] ?? 0) - cell.length)).join(" | ")} |`;
  return [
    line(head, " "),
    line(
      head.map(() => ""),
      "-",
    ),
    ...rows.map((row) => line(row, " ")),
  ].join("\n");
}
