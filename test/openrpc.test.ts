import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { suite, test } from "node:test";

import * as metaModule from "@open-rpc/meta-schema";
import { Ajv, type AnySchemaObject } from "ajv";

import { METHODS } from "../protocol/api/table.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Method } from "../protocol/method.ts";
import { methodsPage } from "../protocol/methods-page.ts";
import { ALWAYS, openRpcDocument, type Schema } from "../protocol/openrpc.ts";
import { schemaHash, schemaHashes, withHash } from "../protocol/schema-hash.ts";
import { PROTOCOL_VERSION } from "../protocol/version.ts";
import { EXIT_CODES, Exit } from "../service/cli/exit-codes.ts";
import { Peer } from "./support/rpc-peer.ts";
import { openRpcService } from "./support/rpc-service.ts";

const AGAIN = "the tables have changed: run `npm run -s contract` and look at what it changes";
const document = openRpcDocument();
const methods: readonly Method[] = METHODS;

async function stored(name: string): Promise<string> {
  return await readFile(path.join(import.meta.dirname, "..", "protocol", name), "utf8");
}

const load = createRequire(import.meta.url);
/** Its types say what a document is, not what the module holds. */
const metaSchema: AnySchemaObject = Reflect.get(metaModule, "openrpcDocument");

/** Ours are draft 7, as the meta-schema wants; it knows that dialect under an address of its own. */
function validator(): Ajv {
  const draft7: AnySchemaObject = load("ajv/dist/refs/json-schema-draft-07.json");
  const ajv = new Ajv({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: "https://meta.json-schema.tools", $ref: "http://json-schema.org/draft-07/schema#" });
  ajv.addSchema({
    $id: "https://meta.json-schema.tools/",
    definitions: { JSONSchemaObject: { properties: { $ref: draft7["properties"]?.$ref } } },
  });
  return ajv;
}

suite("the contract", () => {
  test("protocol/openrpc.json is what the tables say", async () => {
    assert.deepEqual(JSON.parse(await stored("openrpc.json")), JSON.parse(JSON.stringify(document)), AGAIN);
  });

  test("protocol/METHODS.md is what the tables say", async () => {
    assert.ok((await stored("METHODS.md")) === methodsPage(document, EXIT_CODES), AGAIN);
  });

  test("protocol/METHODS.md has a heading for every link", async () => {
    const page = await stored("METHODS.md");
    const headings = new Set(
      [...page.matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) =>
        text
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, "")
          .replaceAll(" ", "-"),
      ),
    );
    const links = [...page.matchAll(/\]\(#([^)]*)\)/g)].map(([, target = ""]) => target);
    assert.ok(links.length > methods.length);
    for (const link of links) assert.ok(headings.has(link), link);
  });

  test("openRpcDocument() keeps to OpenRPC's own meta-schema", () => {
    const ajv = validator();
    const { $schema: _dialect, ...schema } = metaSchema;
    const keeps = ajv.compile(schema);
    assert.ok(keeps(JSON.parse(JSON.stringify(document))), JSON.stringify(keeps.errors?.slice(0, 3)));
    assert.equal(keeps({ ...document, methods: [{ name: "nameless" }] }), false);
    assert.equal(keeps({ ...document, openrpc: "9.9.9" }), false);
  });

  test("rpc.discover answers with the document, and answers keep to its schemas as a foreign validator reads them", async () => {
    const service = await openRpcService();
    try {
      const peer = await Peer.unix(service.socketPath);
      const { result } = await peer.call("rpc.discover");
      assert.deepEqual(result, JSON.parse(JSON.stringify(document)));
      const ajv = validator();
      ajv.addSchema({ ...JSON.parse(JSON.stringify(result)), $id: "openrpc:" });
      const asked: Readonly<Record<string, unknown>> = {
        "service/hello": { nonce: "n".repeat(16) },
        "service/status": {},
        "service/doctor": {},
        "tokens/create": { name: "x", scope: "read" },
        "tokens/list": {},
        "folders/list": {},
        "folders/get": { folder: "f1" },
        "remotes/list": {},
        "remotes/test": { remote: "ada@example.org" },
        "sync/plan": { folder: "f1" },
        "events/list": {},
        "events/subscribe": {},
        "versions/read": { sha1: "a".repeat(40) },
      };
      service.engine.emit("run", {}, 3);
      for (const [name, params] of Object.entries(asked)) {
        const at = document.methods.findIndex((one) => one.name === name);
        const keeps = ajv.compile({ $ref: `openrpc:#/methods/${at}/result/schema` });
        const answer = await peer.call(name, params);
        assert.ok("result" in answer && keeps(answer["result"]), `${name}: ${JSON.stringify(answer)} ${JSON.stringify(keeps.errors)}`);
        assert.equal(keeps({}), false, name);
      }
      await peer.close();
    } finally {
      await service.close();
    }
  });
});

suite("PROTOCOL_VERSION", () => {
  test("the API's shape is the one that its number stands for", async () => {
    const known = schemaHashes.parse(JSON.parse(await stored("schema-hashes.json")));
    assert.deepEqual(withHash(known, PROTOCOL_VERSION, schemaHash(document)), known, AGAIN);
    assert.deepEqual(
      known.map(({ protocolVersion }) => protocolVersion),
      known.map((_, at) => at + 1),
    );
    assert.equal(known.at(-1)?.protocolVersion, PROTOCOL_VERSION);
  });

  const known = [{ protocolVersion: 1, sha256: "a".repeat(64) }];
  test("withHash() a changed shape needs a new number", () =>
    assert.throws(() => withHash(known, 1, "b".repeat(64)), /PROTOCOL_VERSION .* to 2/));
  test("withHash() a new number gets the new shape", () =>
    assert.deepEqual(withHash(known, 2, "b".repeat(64)), [...known, { protocolVersion: 2, sha256: "b".repeat(64) }]));
  test("withHash() the same shape needs no new number", () => assert.throws(() => withHash(known, 2, "a".repeat(64)), /Set it back/));
  test("withHash() no number is left out", () => assert.throws(() => withHash(known, 3, "b".repeat(64)), /to 2/));
  test("withHash() nothing changed: nothing changes", () => assert.equal(withHash(known, 1, "a".repeat(64)), known));

  const [first] = document.methods;
  assert.ok(first !== undefined);
  const others = document.methods.slice(1);
  const result = (properties: Readonly<Record<string, Schema>>) => ({ name: "result" as const, schema: { type: "object", properties } });
  const same = schemaHash(document);
  const notSeen: readonly (readonly [what: string, changed: typeof document])[] = [
    ["other words", { ...document, methods: [{ ...first, description: "Other words.", "x-source": "SPEC §1" }, ...others] }],
    ["another version of the program", { ...document, info: { ...document.info, version: "9.9.9" }, "x-protocol-version": 99 }],
  ];
  for (const [what, changed] of notSeen) test(`schemaHash() ${what}: the same API`, () => assert.equal(schemaHash(changed), same));
  const seen: readonly (readonly [what: string, changed: typeof document])[] = [
    ["another name", { ...document, methods: [{ ...first, name: "service/hallo" }, ...others] }],
    ["another scope", { ...document, methods: [{ ...first, "x-scope": "write" }, ...others] }],
    [
      "a parameter more",
      { ...document, methods: [{ ...first, params: [...first.params, { name: "x", required: false, schema: {} }] }, ...others] },
    ],
    ["an error less", { ...document, methods: [{ ...first, errors: first.errors.slice(1) }, ...others] }],
    [
      "a field called description",
      { ...document, methods: [{ ...first, result: result({ description: { type: "string" } }) }, ...others] },
    ],
    ["another kind of event", { ...document, "x-event-kinds": { ...document["x-event-kinds"], new: {} } }],
  ];
  for (const [what, changed] of seen) test(`schemaHash() ${what}: another API`, () => assert.notEqual(schemaHash(changed), same));
  test("schemaHash() a field called description of another type: another API", () => {
    const of = (type: string) => schemaHash({ ...document, methods: [{ ...first, result: result({ description: { type } }) }] });
    assert.notEqual(of("string"), of("number"));
  });
});

suite("what every method says", () => {
  test("names are unique, docs are sentences, own errors are own and told once", () => {
    assert.equal(new Set(methods.map(({ name }) => name)).size, methods.length);
    for (const { name, doc, errors } of methods) {
      assert.match(doc, /^[A-Z`].{8,}[.]$/s, name);
      assert.equal(new Set(errors).size, errors.length, name);
      assert.ok(!errors.some((code) => code < 0 || ALWAYS.some((always) => always === code)), name);
    }
  });

  test("every number tells its unit or what it counts", () => {
    const untold: string[] = [];
    const look = (where: string, name: string, schema: Schema): void => {
      const isNumber = [schema.type].flat().some((type) => type === "integer" || type === "number");
      if (isNumber && schema.description === undefined && !/(?:Ms|Bytes|Files)$/.test(name)) untold.push(`${where} ${name}`);
      for (const [key, one] of Object.entries(schema.properties ?? {})) look(where, key, one);
      for (const one of [...(schema.anyOf ?? []), ...(schema.allOf ?? [])])
        look(where, name, schema.description === undefined ? one : { ...one, description: schema.description });
      if (schema.items !== undefined) look(where, name, schema.items);
      if (typeof schema.additionalProperties === "object") look(where, name, schema.additionalProperties);
    };
    for (const { name, params, result } of document.methods) {
      for (const param of params) look(name, param.name, param.schema);
      look(name, "result", result.schema);
    }
    for (const [kind, schema] of Object.entries({
      ...document["x-event-kinds"],
      ...document["x-notifications"],
      ...document.components.schemas,
    }))
      look(kind, "", schema);
    assert.deepEqual(untold, []);
  });

  test("every source is a rule or a heading of SPEC.md", async () => {
    const spec = await stored("SPEC.md");
    for (const { name, source } of methods) {
      const [, section, rule] = /^SPEC §(\d)(?: (\S+))?$/.exec(source) ?? [];
      assert.ok(section !== undefined, `${name}: ${source}`);
      const from = spec.indexOf(`\n## ${section}. `);
      const text = spec.slice(from, spec.indexOf("\n## ", from + 1) === -1 ? undefined : spec.indexOf("\n## ", from + 1));
      assert.ok(
        from !== -1 &&
          (rule === undefined || text.includes(`\n### ${rule}\n`) || text.includes(`| ${rule} `) || text.includes(`- **${rule}`)),
        `${name}: ${source}`,
      );
    }
  });

  test("protocol/SPEC.md lists every reconcile rule", async () => {
    const spec = await stored("SPEC.md");
    for (let at = 1; at <= 16; at++) assert.ok(spec.includes(`| R${at} `), `R${at}`);
  });

  test("EXIT_CODES and ErrorCode leave none out", () => {
    assert.deepEqual(new Set(EXIT_CODES.map(({ code }) => code)), new Set(Object.values(Exit)));
    assert.equal(EXIT_CODES.length, Object.keys(Exit).length);
    assert.equal(new Set(Object.values(ErrorCode)).size, Object.keys(ErrorCode).length);
  });
});
