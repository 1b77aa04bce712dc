import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, suite, test } from "node:test";

import * as fc from "fast-check";

import { ErrorCode } from "../protocol/errors.ts";
import { Dispatcher, type Bindings, type Bound, type Peer as RpcPeer } from "../service/rpc/dispatch.ts";
import { method } from "../protocol/method.ts";
import * as z from "zod";
import { Peer } from "./support/rpc-peer.ts";
import { BEARER, openRpcService, upgradeText, type RpcService } from "./support/rpc-service.ts";

/** As in the specification's examples, but that parameters go by name alone. */
const SPEC = { errors: [], scope: "read", doc: "For a test.", source: "SPEC §5" } as const;
const subtract = method("subtract", {
  ...SPEC,
  params: z.strictObject({ minuend: z.number(), subtrahend: z.number() }),
  result: z.number(),
});
const getData = method("get_data", { ...SPEC, params: z.strictObject({}), result: z.array(z.unknown()) });
const bound: readonly Bound[] = [
  { method: subtract, run: (params) => Number(Reflect.get(Object(params), "minuend")) - Number(Reflect.get(Object(params), "subtrahend")) },
  { method: getData, run: () => ["hello", 5] },
];
const bindings: Bindings = new Map(bound.map((one) => [one.method.name, one]));
const nobody: RpcPeer = {
  scope: "read",
  subscribe: () => undefined,
  unsubscribe: () => undefined,
  withProgress: async (_token, _folder, work) => await work(),
};

async function answered(text: string): Promise<unknown> {
  const answer = await new Dispatcher(bindings, nobody, () => assert.fail("a fault of ours")).handle(text);
  return answer === null ? null : withoutWords(JSON.parse(answer));
}

/** What an error says to people is not the specification's business. */
function withoutWords(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(withoutWords);
  const { error, ...rest } = Object(answer);
  if (error === undefined) return rest;
  assert.equal(typeof error.message, "string");
  return { ...rest, error: error.code };
}
const failed = (code: number, id: unknown = null) => ({ jsonrpc: "2.0", id, error: code });
const { InvalidParams, InvalidRequest, MethodNotFound, ParseError } = ErrorCode;

suite("JSON-RPC 2.0, by the examples of its specification", () => {
  const examples: readonly (readonly [what: string, sent: string, answer: unknown])[] = [
    [
      "named parameters",
      '{"jsonrpc":"2.0","method":"subtract","params":{"subtrahend":23,"minuend":42},"id":3}',
      { jsonrpc: "2.0", id: 3, result: 19 },
    ],
    [
      "their order counts for nothing",
      '{"jsonrpc":"2.0","method":"subtract","params":{"minuend":42,"subtrahend":23},"id":4}',
      { jsonrpc: "2.0", id: 4, result: 19 },
    ],
    ["a notification", '{"jsonrpc":"2.0","method":"subtract","params":{"minuend":42,"subtrahend":23}}', null],
    ["a notification to a method that is not there", '{"jsonrpc":"2.0","method":"foobar"}', null],
    ["a notification with wrong parameters", '{"jsonrpc":"2.0","method":"subtract","params":{}}', null],
    ["a method that is not there", '{"jsonrpc":"2.0","method":"foobar","id":"1"}', failed(MethodNotFound, "1")],
    ["invalid JSON", '{"jsonrpc":"2.0","method":"foobar,"params":"bar","baz]', failed(ParseError)],
    ["nothing", "", failed(ParseError)],
    ["an invalid request", '{"jsonrpc":"2.0","method":1,"params":"bar"}', failed(InvalidRequest)],
    [
      "a batch of invalid JSON",
      '[{"jsonrpc":"2.0","method":"sum","params":[1,2,4],"id":"1"},{"jsonrpc":"2.0","method"]',
      failed(ParseError),
    ],
    ["an empty batch", "[]", failed(InvalidRequest)],
    ["an invalid batch that is not empty", "[1]", [failed(InvalidRequest)]],
    ["an invalid batch", "[1,2,3]", [failed(InvalidRequest), failed(InvalidRequest), failed(InvalidRequest)]],
    [
      "a batch of all sorts",
      `[{"jsonrpc":"2.0","method":"get_data","id":"1"},{"jsonrpc":"2.0","method":"get_data"},{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":"2"},{"foo":"boo"},
        {"jsonrpc":"2.0","method":"foo.get","params":{"name":"myself"},"id":"5"},{"jsonrpc":"2.0","method":"get_data","id":"9"}]`,
      [
        { jsonrpc: "2.0", id: "1", result: ["hello", 5] },
        failed(InvalidParams, "2"),
        failed(InvalidRequest),
        failed(MethodNotFound, "5"),
        { jsonrpc: "2.0", id: "9", result: ["hello", 5] },
      ],
    ],
    ["depth 400 000", "[".repeat(400_000), failed(ParseError)],
    ["a batch of notifications", '[{"jsonrpc":"2.0","method":"get_data"},{"jsonrpc":"2.0","method":"foobar"}]', null],
    ["a batch within a batch", '[[{"jsonrpc":"2.0","method":"get_data","id":1}]]', [failed(InvalidRequest)]],
    ["id null is a request", '{"jsonrpc":"2.0","method":"get_data","id":null}', { jsonrpc: "2.0", id: null, result: ["hello", 5] }],
    ["the id of a bad request is told where it can be", '{"jsonrpc":"1.0","method":"get_data","id":"a"}', failed(InvalidRequest, "a")],
    [
      "one id twice in a batch",
      '[{"jsonrpc":"2.0","method":"get_data","id":1},{"jsonrpc":"2.0","method":"get_data","id":1}]',
      [{ jsonrpc: "2.0", id: 1, result: ["hello", 5] }, failed(InvalidRequest, 1)],
    ],
    [
      '1 and "1" are two ids',
      '[{"jsonrpc":"2.0","method":"get_data","id":1},{"jsonrpc":"2.0","method":"get_data","id":"1"}]',
      [
        { jsonrpc: "2.0", id: 1, result: ["hello", 5] },
        { jsonrpc: "2.0", id: "1", result: ["hello", 5] },
      ],
    ],
    ["cancelling what is not under way", '{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}', null],
    [
      "a notification of the language server protocol that nobody knows",
      '{"jsonrpc":"2.0","method":"$/setTrace","params":{"value":"off"}}',
      null,
    ],
  ];
  for (const [what, sent, answer] of examples)
    test(`Dispatcher.handle() ${what}`, async () => assert.deepEqual(await answered(sent), answer));

  const isId = (id: unknown): boolean => id === null || typeof id === "string" || typeof id === "number";
  const isAnswer = (answer: unknown): boolean => {
    const told = Object(answer);
    return told.jsonrpc === "2.0" && isId(told.id) && "result" in told !== "error" in told;
  };
  test("Dispatcher.handle() WS13 whatever is sent: an answer that is one, or none; never a fault of ours", async () => {
    const almost = fc.record(
      {
        jsonrpc: fc.constantFrom<unknown>("2.0", "1.0", 2),
        method: fc.oneof(fc.constantFrom("subtract", "get_data", "$/cancelRequest", "__proto__", "rpc.x"), fc.jsonValue()),
        params: fc.oneof(fc.record({ minuend: fc.jsonValue(), subtrahend: fc.jsonValue() }), fc.jsonValue()),
        id: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const message = fc.oneof(fc.jsonValue(), almost, fc.array(fc.oneof(almost, fc.jsonValue()), { maxLength: 120 }));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          message.map((value) => JSON.stringify(value)),
          fc.string({ unit: "binary" }),
        ),
        async (text) => {
          const answer = await new Dispatcher(bindings, nobody, () => assert.fail("a fault of ours")).handle(text);
          if (answer === null) return;
          const told: unknown = JSON.parse(answer);
          const all: readonly unknown[] = Array.isArray(told) ? told : [told];
          assert.ok(all.length > 0 && all.every(isAnswer), answer);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

suite("frames that are none", () => {
  let service: RpcService;
  before(async () => {
    service = await openRpcService();
  });
  after(async () => await service.close());

  /** Opens the door properly, then sends these bytes. Resolves when the service has ended it: we say no goodbye. */
  async function endedBy(bytes: Uint8Array): Promise<void> {
    const socket = connect(service.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(upgradeText(`127.0.0.1:${service.port}`, [BEARER]));
    await once(socket, "data");
    const closed = once(socket, "close");
    socket.resume();
    socket.write(bytes);
    await closed;
  }
  const frame = (head: number, length: number, body = Buffer.alloc(0)): Buffer => Buffer.concat([Buffer.from([head, length]), body]);
  const broken: readonly (readonly [what: string, bytes: Buffer])[] = [
    ["no mask", frame(0x81, 2, Buffer.from("{}"))],
    ["reserved bits", frame(0xf1, 0x80, Buffer.alloc(4))],
    ["an opcode that there is not", frame(0x83, 0x80, Buffer.alloc(4))],
    ["a length of 2⁶³", frame(0x81, 0xff, Buffer.alloc(12, 0xff))],
    ["2 MiB announced", frame(0x81, 0xff, Buffer.from([0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0]))],
    ["a long ping", frame(0x89, 0xfe, Buffer.alloc(6, 0xff))],
    ["a continuation of nothing", frame(0x80, 0x80, Buffer.alloc(4))],
    ["text that is no UTF-8", frame(0x81, 0x82, Buffer.from([0, 0, 0, 0, 0xc3, 0x28]))],
    ["compressed, though none was agreed", frame(0xc1, 0x80, Buffer.alloc(4))],
    [
      "300 fragments (§5.1)",
      Buffer.concat([frame(0x01, 0x80, Buffer.alloc(4)), ...Array.from({ length: 300 }, () => frame(0x00, 0x81, Buffer.alloc(5)))]),
    ],
    ["a close of one byte", frame(0x88, 0x81, Buffer.alloc(5))],
  ];
  for (const [what, bytes] of broken)
    test(`Connection WS13 ${what}: that connection ends, the others notice nothing`, async () => {
      const other = await Peer.unix(service.socketPath);
      await endedBy(bytes);
      assert.equal((await other.call("service/status"))["error"], undefined);
      await other.close();
    });
});
