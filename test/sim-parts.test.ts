import assert from "node:assert/strict";
import { test } from "node:test";

import { diskContract } from "./disk-contract.ts";
import { simDisk } from "./sim/disk.ts";
import { Ledger, sha1Of } from "./sim/ledger.ts";
import { withPoisonedGlobals } from "./sim/poison.ts";
import { Rng } from "./sim/rng.ts";
import { Life, Scheduler } from "./sim/scheduler.ts";
import { Volume, type VolumeProfile } from "./sim/volume.ts";

const PROFILE: VolumeProfile = { durability: "ordered", timeStepMs: 4, stateElsewhere: false, noLinks: false, names: "exact" };
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

function openVolume(seed: number, profile: VolumeProfile = PROFILE): { scheduler: Scheduler; volume: Volume } {
  const scheduler = new Scheduler(new Rng(seed, "schedule"));
  const volume = new Volume(profile, new Rng(seed, "disk"), () => scheduler.nowMs);
  volume.makeDirectory("/root");
  volume.settleAll();
  return { scheduler, volume };
}

diskContract("simulated", async () => {
  const { scheduler, volume } = openVolume(1);
  const noHooks = { fault: () => null, onWrite: () => undefined, onReplaced: () => undefined };
  const stop = new AbortController();
  const pump = async (): Promise<void> => {
    while (!stop.signal.aborted) if (!(await scheduler.step())) await scheduler.drain();
  };
  const pumping = pump();
  return await Promise.resolve({
    disk: simDisk(scheduler, new Life("test"), volume, noHooks),
    root: "/root",
    symlink: (_target: string, path: string) => volume.makeOdd(path, "symlink"),
    close: async () => {
      stop.abort();
      await pumping;
    },
  });
});

test("Volume.cutPower() keeps what was fsynced, name and bytes, in both profiles", () => {
  for (const durability of ["ordered", "weak"] as const) {
    for (let seed = 1; seed <= 50; seed += 1) {
      const { volume } = openVolume(seed, { ...PROFILE, durability });
      const node = volume.makeFile("/root/a", 0o644);
      volume.write(node, bytes("kept"), "/root/a");
      volume.syncFile(node, true);
      const root = volume.find("/root");
      assert.ok(root !== null);
      volume.syncDirectory(root);
      volume.write(volume.makeFile("/root/b", 0o644), bytes("not kept"), "/root/b");
      volume.cutPower();
      assert.equal(Buffer.from(volume.find("/root/a")?.bytes ?? []).toString(), "kept");
    }
  }
});

test("Volume.cutPower() loses, tears and zeroes what was not: a name, half of the bytes, all of them", () => {
  const met = new Set<string>();
  const whole = "x".repeat(2048);
  for (let seed = 1; seed <= 200; seed += 1) {
    const { volume } = openVolume(seed, { ...PROFILE, durability: "weak" });
    volume.write(volume.makeFile("/root/a", 0o644), bytes(whole), "/root/a");
    volume.cutPower();
    const left = volume.find("/root/a");
    const text = left === null ? null : Buffer.from(left.bytes).toString();
    met.add(text === null ? "no name" : text === whole ? "whole" : text === "" ? "empty" : /^\0+$/.test(text) ? "zeros" : "torn");
  }
  assert.deepEqual(
    [...met].toSorted((a, b) => (a < b ? -1 : 1)),
    ["empty", "no name", "torn", "whole", "zeros"],
  );
});

test("Volume.cutPower() DK04 a rename leaves the old or the new name, never none, never both gone", () => {
  for (const durability of ["ordered", "weak"] as const) {
    for (let seed = 1; seed <= 100; seed += 1) {
      const { volume } = openVolume(seed, { ...PROFILE, durability });
      volume.write(volume.makeFile("/root/a", 0o644), bytes("a"), "/root/a");
      volume.settleName("/root/a");
      volume.rename("/root/a", "/root/b");
      volume.cutPower();
      assert.ok(volume.find("/root/a") !== null || volume.find("/root/b") !== null, `seed ${seed} ${durability}`);
    }
  }
});

test("Scheduler.kill() S8 what a dead process waits for never comes, what it asks then neither", async () => {
  const { scheduler } = openVolume(1);
  const [dead, alive] = [new Life("dead"), new Life("alive")];
  const done: string[] = [];
  const ask = (life: Life, word: string): void => void scheduler.call(life, word, () => done.push(word));
  ask(dead, "before");
  ask(alive, "other");
  scheduler.after(dead, 5, "timer", () => done.push("timer"));
  scheduler.kill(dead);
  ask(dead, "after");
  assert.equal(await scheduler.until(() => false, 20), false);
  assert.deepEqual(done, ["other"]);
});

test("Rng the same seed and name give the same draws, others give others", () => {
  const draws = (seed: number, name: string): number[] => {
    const rng = new Rng(seed, name);
    return Array.from({ length: 8 }, () => rng.below(1000));
  };
  assert.deepEqual(draws(7, "a"), draws(7, "a"));
  assert.notDeepEqual(draws(7, "a"), draws(7, "b"));
  assert.notDeepEqual(draws(7, "a"), draws(8, "a"));
});

test("withPoisonedGlobals() time and chance of the real world throw while a session runs, and work again after it", async () => {
  await withPoisonedGlobals(async () => {
    assert.throws(() => Date.now(), /port/);
    assert.throws(() => Math.random(), /port/);
    assert.throws(() => setTimeout(() => undefined, 1), /port/);
    await Promise.resolve();
  });
  assert.ok(Date.now() > 0);
});

test("Ledger a save by unlink and create has its version as parent and deletes nothing; an emptied file that is deleted does", () => {
  const ledger = new Ledger();
  const [one, two] = [bytes("one"), bytes("two")];
  ledger.wrote("d1", "a", null, one);
  ledger.removed("d1", "a", sha1Of(one), false);
  ledger.wrote("d1", "a", null, two);
  const [first, second] = [ledger.get("a", sha1Of(one)), ledger.get("a", sha1Of(two))];
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(ledger.isAncestor(first, second, true), true);
  assert.equal(ledger.isDeleted(first), false);
  ledger.wrote("d1", "a", sha1Of(two), new Uint8Array());
  assert.equal(ledger.isDeleted(first), false);
  ledger.removed("d1", "a", sha1Of(new Uint8Array()), true);
  assert.equal(ledger.isDeleted(first), true);
});
