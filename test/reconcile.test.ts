import assert from "node:assert/strict";
import { test } from "node:test";

import { GUARD_FILES_MAX, guardDeletions, type GuardFacts } from "../service/core/guard.ts";
import { UNKNOWN, type PlanRow, type SideState } from "../service/core/model.ts";
import { DiskError, noFaults, RemoteError, TransportError } from "../service/core/ports.ts";
import { byPath, holdHash, makePlan, planHash } from "../service/core/plan.ts";
import { decide, reasonOf, reconcile, sideOf, type Decision, type Side } from "../service/core/reconcile.ts";
import { decideSchedule, REHASH_EVERY_MS, SCAN_EVERY_MS, SCAN_UNWATCHED_MS, type ScheduleFacts } from "../service/core/schedule.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);
const C = "c".repeat(40);

const cells: readonly (readonly [rule: string, local: Side, remote: Side, expected: Decision])[] = [
  ["R1 gone on both sides", "absent", "absent", "none"],
  ["R2 deleted here, untouched there: delete there", "absent", "same", "deleteRemote"],
  ["R3 deleted here, edited there: the edit wins", "absent", "changed", "download"],
  ["R4 absent here, can't tell there: touch nothing", "absent", "unknown", "defer"],
  ["R5 untouched here, deleted there: delete here", "same", "absent", "deleteLocal"],
  ["R6 untouched on both sides", "same", "same", "none"],
  ["R7 untouched here, edited there: take it", "same", "changed", "download"],
  ["R8 untouched here, can't tell there: touch nothing", "same", "unknown", "defer"],
  ["R9 edited here, deleted there: the edit wins", "changed", "absent", "upload"],
  ["R10 edited here, untouched there: send it", "changed", "same", "upload"],
  ["R11 edited on both sides: conflict", "changed", "changed", "conflict"],
  ["R12 edited here, can't tell there: touch nothing", "changed", "unknown", "defer"],
  ["R13 scan failed here, absent there: touch nothing", "unknown", "absent", "defer"],
  ["R14 scan failed here, untouched there: touch nothing", "unknown", "same", "defer"],
  ["R15 scan failed here, edited there: touch nothing", "unknown", "changed", "defer"],
  ["R16 nothing known on either side: touch nothing", "unknown", "unknown", "defer"],
];
for (const [rule, local, remote, expected] of cells) test(`reconcile() ${rule}`, () => assert.equal(reconcile(local, remote), expected));

function row(path: string, base: string | null | undefined, local: SideState, remote: SideState): PlanRow {
  return {
    path,
    base,
    local,
    remote,
    localSizeBytes: 1,
    remoteSizeBytes: remote === null ? null : 2,
    wireName: remote === null ? null : path,
  };
}

/** base × local × remote, every combination of three contents, absence, never agreed and unknown. */
test("decide() N2 N3 N7 every state of three trees has exactly one answer, and none of them loses bytes unseen", () => {
  const bases = [undefined, null, A, B] as const;
  const sides: readonly SideState[] = [null, A, B, C, UNKNOWN];
  let rows = 0;
  for (const base of bases)
    for (const local of sides)
      for (const remote of sides) {
        rows += 1;
        const decision = decide(row("x", base, local, remote));
        const agreed = base ?? null;
        if (local === UNKNOWN || remote === UNKNOWN) assert.equal(decision, "defer");
        else if (local === remote) assert.equal(decision, agreed === local ? "none" : "adopt");
        else if (decision === "deleteLocal")
          assert.ok(local === agreed && remote === null, "only bytes that both sides agreed on are deleted");
        else if (decision === "deleteRemote") assert.ok(remote === agreed && local === null);
        else if (decision === "download") assert.ok(local === null || local === agreed, "a local edit is never overwritten");
        else if (decision === "upload") assert.ok(remote === null || remote === agreed, "a remote edit is never overwritten");
        else if (decision === "conflict") assert.ok(local !== null && remote !== null && local !== agreed && remote !== agreed);
        else assert.equal(decision, "none");
        assert.ok(reasonOf(row("x", base, local, remote)).length > 5);
      }
  assert.equal(rows, 100);
});

test("sideOf() without a base all that exists is changed", () => {
  assert.deepEqual(
    [sideOf(A, undefined), sideOf(A, null), sideOf(A, A), sideOf(A, B), sideOf(null, A), sideOf(UNKNOWN, A)],
    ["changed", "changed", "same", "changed", "absent", "unknown"],
  );
});

test("makePlan() the same rows give a byte-identical plan whatever their order, ordered by kind then path", () => {
  const rows = [
    row("up", A, B, A),
    row("down", A, A, B),
    row("gone-there", A, A, null),
    row("gone-here", B, null, B),
    row("both", A, B, C),
    row("equal", undefined, A, A),
    row("quiet", A, A, A),
    row("dark", A, UNKNOWN, A),
    row("new", undefined, C, null),
  ];
  const digest = (text: string) => text;
  const plan = makePlan(rows);
  assert.deepEqual(
    plan.actions.map((action) => `${action.kind} ${action.path}`),
    ["adopt equal", "conflict both", "download down", "deleteLocal gone-there", "upload new", "upload up", "deleteRemote gone-here"],
  );
  assert.deepEqual(plan.settled, ["dark", "quiet"]);
  const again = makePlan(rows.toReversed());
  assert.equal(planHash(again.actions, digest), planHash(plan.actions, digest));
  assert.deepEqual(again, plan);
  assert.notEqual(planHash(plan.actions.slice(1), digest), planHash(plan.actions, digest));
});

test("makePlan() N7 a rename is paired by hash, one to one, in both directions", () => {
  const plan = makePlan([
    row("old-1", A, null, A),
    row("new-1", undefined, A, null),
    row("new-2", undefined, A, null),
    row("theirs-old", B, B, null),
    row("theirs-old-2", B, B, null),
    row("theirs-new", undefined, null, B),
    row("lonely", C, null, C),
  ]);
  const pairs = plan.actions.flatMap((action) =>
    "from" in action ? [`${action.path} from ${action.from}`] : "to" in action ? [`${action.path} to ${action.to}`] : [],
  );
  assert.deepEqual(pairs, [
    "theirs-new from theirs-old",
    "theirs-old to theirs-new",
    "theirs-old-2 to null",
    "new-1 from old-1",
    "new-2 from null",
    "lonely to null",
    "old-1 to new-1",
  ]);
});

test("byPath() orders by code units", () => {
  assert.deepEqual(
    [{ path: "b" }, { path: "a" }, { path: "B" }, { path: "a" }].toSorted(byPath).map(({ path }) => path),
    ["B", "a", "a", "b"],
  );
});

test("holdHash() names the set whatever its order, and its scope", () => {
  const digest = (text: string) => text;
  assert.equal(holdHash("deleteLocal", ["b", "a"], digest), holdHash("deleteLocal", ["a", "b"], digest));
  assert.notEqual(holdHash("deleteLocal", ["a"], digest), holdHash("deleteRemote", ["a"], digest));
});

const names = (count: number, prefix = "f") => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
const guardRows: readonly (readonly [rule: string, facts: Partial<GuardFacts>, held: number, reason: string | null])[] = [
  ["nothing planned: nothing asked", { planned: [], baseLive: 100 }, 0, null],
  ["ten of a hundred go", { planned: names(GUARD_FILES_MAX), baseLive: 100 }, 0, null],
  ["ten of twelve go: the least limit is ten", { planned: names(10), baseLive: 12 }, 0, null],
  ["eleven of twelve wait", { planned: names(11), baseLive: 12 }, 11, "manyDeletions"],
  ["a quarter of a hundred goes", { planned: names(25), baseLive: 100 }, 0, null],
  ["one more than a quarter waits", { planned: names(26), baseLive: 100 }, 26, "manyDeletions"],
  ["all of a small folder waits", { planned: names(3), baseLive: 3 }, 3, "allDeleted"],
  ["a slow rm -r is counted over its runs", { planned: names(6, "late"), recent: names(20), baseLive: 80 }, 6, "manyDeletions"],
  ["the last one of a slow emptying waits", { planned: ["last"], recent: names(4), baseLive: 1 }, 1, "allDeleted"],
  ["a path deleted twice counts once", { planned: ["f0"], recent: names(10), baseLive: 30 }, 0, null],
  ["all of a folder waits though some were tried before", { planned: names(5), recent: names(4), baseLive: 5 }, 5, "allDeleted"],
  ["what waits already is joined", { planned: names(2), baseLive: 100, alreadyHeld: true }, 2, "manyDeletions"],
  ["approved paths go on", { planned: names(30), baseLive: 40, approved: new Set(names(30)) }, 0, null],
  ["others wait beside approved ones", { planned: names(40), baseLive: 50, approved: new Set(names(20)) }, 20, "manyDeletions"],
];
for (const [rule, facts, held, reason] of guardRows)
  test(`guardDeletions() S14 ${rule}`, () => {
    const verdict = guardDeletions({ planned: [], recent: [], baseLive: 0, alreadyHeld: false, approved: new Set(), ...facts });
    assert.equal(verdict.held.length, held);
    assert.equal(verdict.reason, reason);
    assert.equal(verdict.allowed.length + verdict.held.length, facts.planned?.length ?? 0);
  });

const idle: ScheduleFacts = {
  paused: false,
  running: false,
  requested: false,
  requestedScan: false,
  hasRemote: true,
  watching: true,
  scanNeeded: false,
  settlesAtMs: null,
  lastScanMs: 0,
  lastRehashMs: 0,
  lastRunMs: 0,
  remoteChanged: false,
  workLeft: false,
  retryAtMs: null,
  streaming: false,
  lineChanged: false,
  reachableAgain: false,
  pollEveryMs: 60_000,
  pushAtMs: null,
};
const scheduleRows: readonly (readonly [
  rule: string,
  facts: Partial<ScheduleFacts>,
  nowMs: number,
  expected: ReturnType<typeof decideSchedule>,
])[] = [
  ["a run under way: wait for its end", { running: true, requested: true }, 0, { kind: "wait", untilMs: null }],
  ["asked for: at once, even paused", { requested: true, paused: true }, 0, { kind: "run", scan: false, rehash: false }],
  ["asked for with a whole look", { requested: true, requestedScan: true }, 0, { kind: "run", scan: true, rehash: false }],
  ["asked for while events were lost", { requested: true, scanNeeded: true }, 0, { kind: "run", scan: true, rehash: false }],
  ["paused: nothing by itself", { paused: true, settlesAtMs: 0 }, 99, { kind: "wait", untilMs: null }],
  ["a save: when it has settled", { settlesAtMs: 200 }, 50, { kind: "wait", untilMs: 200 }],
  ["a settled save: now", { settlesAtMs: 200 }, 200, { kind: "run", scan: false, rehash: false }],
  ["idle: the next poll", {}, 1_000, { kind: "wait", untilMs: 60_000 }],
  ["the poll is due", {}, 60_000, { kind: "run", scan: false, rehash: false }],
  ["with a stream the poll is a safety net", { streaming: true }, 60_000, { kind: "wait", untilMs: 300_000 }],
  ["the remote told of a change", { remoteChanged: true }, 5, { kind: "run", scan: false, rehash: false }],
  ["the stream broke: is the remote there?", { lineChanged: true }, 5, { kind: "run", scan: false, rehash: false }],
  ["the stream broke while a failure is waited out", { lineChanged: true, retryAtMs: 9 }, 5, { kind: "wait", untilMs: 9 }],
  [
    "the stream is back after the remote could not be reached: no more waiting",
    { lineChanged: true, reachableAgain: true, retryAtMs: 90_000 },
    5,
    { kind: "run", scan: false, rehash: false },
  ],
  ["paused: a stream that breaks is not followed up", { paused: true, lineChanged: true }, 5, { kind: "wait", untilMs: null }],
  ["work was left", { workLeft: true, retryAtMs: 1_000 }, 5, { kind: "wait", untilMs: 1_000 }],
  ["after a failure: not before its time", { settlesAtMs: 10, retryAtMs: 5_000 }, 20, { kind: "wait", untilMs: 5_000 }],
  ["AnkiWeb: pushes a minute apart", { settlesAtMs: 10, pushAtMs: 60_000 }, 20, { kind: "wait", untilMs: 60_000 }],
  ["events were lost: a scan", { scanNeeded: true }, 5, { kind: "run", scan: true, rehash: false }],
  ["never looked: a scan", { lastScanMs: null, lastRunMs: null }, 5, { kind: "run", scan: true, rehash: false }],
  ["unwatched: a scan each minute", { watching: false, hasRemote: false }, SCAN_UNWATCHED_MS, { kind: "run", scan: true, rehash: false }],
  ["watched, no remote: a scan each ten minutes", { hasRemote: false }, SCAN_EVERY_MS - 1, { kind: "wait", untilMs: SCAN_EVERY_MS }],
  [
    "a day has gone: every byte is read again",
    { lastScanMs: REHASH_EVERY_MS, lastRunMs: REHASH_EVERY_MS },
    REHASH_EVERY_MS,
    { kind: "run", scan: true, rehash: true },
  ],
];
for (const [rule, facts, nowMs, expected] of scheduleRows)
  test(`decideSchedule() ${rule}`, () => assert.deepEqual(decideSchedule({ ...idle, ...facts }, nowMs), expected));

test("makePlan() a row without sizes or a wire name still gives whole actions", () => {
  const bare = (path: string, base: string | null | undefined, local: SideState, remote: SideState): PlanRow => ({
    path,
    base,
    local,
    remote,
    localSizeBytes: null,
    remoteSizeBytes: null,
    wireName: null,
  });
  const plan = makePlan([bare("c", A, B, C), bare("d", A, A, B), bare("u", A, B, A), bare("x", A, null, A)]);
  assert.deepEqual(
    plan.actions.map((action) => ("wireName" in action ? action.wireName : null)),
    ["c", "d", null, "x"],
  );
  assert.deepEqual(
    plan.actions.map((action) => ("sizeBytes" in action ? action.sizeBytes : "none")),
    [null, null, 0, "none"],
  );
});

test("errors of the ports carry their fault, cause and wait", () => {
  const cause = new Error("EIO");
  const disk = new DiskError("io", "Could not read x.", { cause });
  assert.deepEqual([disk.name, disk.fault, disk.cause], ["DiskError", "io", cause]);
  const transport = new TransportError("stall", "Nothing came for 60 s.");
  assert.deepEqual([transport.name, transport.fault, transport.message], ["TransportError", "stall", "Nothing came for 60 s."]);
  const remote = new RemoteError("retry", "Busy.", { retryAfterMs: 5 });
  assert.deepEqual(
    [remote.name, remote.fault, remote.retryAfterMs, new RemoteError("auth", "No.").retryAfterMs],
    ["RemoteError", "retry", 5, null],
  );
  assert.equal(noFaults("apply/beforeRename"), false);
});
