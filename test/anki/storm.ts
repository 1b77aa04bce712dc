import { startProxy, type Proxy } from "../support/proxy.ts";
import { officialDevice, satchelDevice, type Device, type Kind } from "./device.ts";
import type { Driver } from "./official-client.ts";
import { bytesOf, sha1, tree, UPLOAD } from "./world.ts";

const NAMES = ["a.png", "b.png", "c.png", "d.png", "e.png"] as const;
const ROUNDS_TO_AGREE = 12;
/** Where another device may come in between. */
const BETWEEN = [["msync/mediaChanges", "satchel/changes"], UPLOAD, ["msync/mediaSanity"]] as const;

/** Who plays in a storm, for how long, and how seldom a deletion is (our guard asks at the eleventh within ten minutes). */
export type StormPlan = {
  readonly kinds: readonly Kind[];
  readonly syncsMin: number;
  readonly oneDeletionIn: number;
  readonly seed: number;
};

/**
 * What a storm showed. `regressions`: a sync put an ancestor in a newer version's place, or brought back what its own user had deleted;
 * or one of ours replaced a version by one that did not know it, and kept no visible copy (N3).
 */
export type Storm = { readonly syncs: number; readonly regressions: readonly string[]; readonly agreed: boolean };

type Tree = Readonly<Record<string, string>>;
type Player = { readonly device: Device; readonly wire: Proxy; readonly label: string; seen: Tree; readonly deleted: Map<string, string> };

/** Chance that can be had again (mulberry32): a number below `below`. */
function chance(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Who came from whom, by content: contents are new at each save, or copies of what stands elsewhere. */
class Family {
  readonly #parents = new Map<string, Set<string>>();

  born(child: string, parent: string | undefined): void {
    const parents = this.#parents.get(child) ?? new Set();
    if (parent !== undefined && parent !== child) parents.add(parent);
    this.#parents.set(child, parents);
  }

  isAncestor(older: string, newer: string, visited = new Set<string>()): boolean {
    if (visited.has(newer)) return false;
    visited.add(newer);
    return [...(this.#parents.get(newer) ?? [])].some((parent) => parent === older || this.isAncestor(older, parent, visited));
  }
}

/** Several devices on one account: edits, deletions, copies, and syncs with other syncs in between. Each sync is judged. */
export async function storm(
  driver: Driver,
  url: string,
  user: string,
  { kinds, syncsMin, oneDeletionIn, seed }: StormPlan,
): Promise<Storm> {
  const random = chance(seed);
  const family = new Family();
  const regressions: string[] = [];
  const players: Player[] = [];
  let saves = 0;
  let syncs = 0;

  const pick = <T>(from: readonly T[]): T => {
    const [found] = from.slice(random(from.length));
    if (found === undefined) throw new Error("nothing to pick from");
    return found;
  };

  async function act(player: Player): Promise<void> {
    const name = pick(NAMES);
    const current = player.seen[name];
    const copied = await pick(players).device.read(name);
    const what = random(oneDeletionIn);
    if (what === 0) {
      if (current === undefined) return;
      await player.device.remove(name);
      player.deleted.set(name, current);
    } else {
      const bytes = what === 1 && copied !== null ? copied : bytesOf(`${String(seed)}/${String(++saves)}`, 50);
      await player.device.write(name, bytes);
      family.born(sha1(bytes), current ?? player.deleted.get(name));
      player.deleted.delete(name);
    }
    player.seen = await tree(player.device);
  }

  function judge(player: Player, before: Tree, after: Tree): void {
    for (const name of NAMES) {
      const [was, is] = [before[name] ?? player.deleted.get(name), after[name]];
      if (was === undefined || is === undefined) continue;
      const wasDeleted = before[name] === undefined;
      if (was === is && !wasDeleted) continue;
      const knew = wasDeleted || family.isAncestor(was, is) || Object.values(after).includes(was);
      if (player.device.kind === "satchel" && !knew) regressions.push(`sync ${String(syncs)}: ${player.label} ${name} silently replaced`);
      const back = wasDeleted ? is === was || family.isAncestor(is, was) : family.isAncestor(is, was) && !family.isAncestor(was, is);
      if (back) regressions.push(`sync ${String(syncs)}: ${player.label} ${name} ${wasDeleted ? "came back" : "fell back"}`);
      if (wasDeleted) player.deleted.delete(name);
    }
  }

  async function sync(player: Player): Promise<boolean> {
    const before = await tree(player.device);
    const { ok } = await player.device.sync();
    syncs++;
    player.seen = await tree(player.device);
    judge(player, before, player.seen);
    return ok;
  }

  try {
    for (const [at, kind] of kinds.entries()) {
      const wire = await startProxy(url);
      const device = kind === "official" ? await officialDevice(driver, wire.url, user) : await satchelDevice(wire.url, user);
      players.push({ device, wire, label: `${kind} device ${String(at)}`, seen: {}, deleted: new Map() });
    }
    while (syncs < syncsMin) {
      const player = pick(players);
      for (let acts = random(3); acts > 0; acts--) await act(player);
      const other = pick(players.filter((one) => one !== player));
      const comesIn = random(2) === 0;
      if (comesIn)
        player.wire.rule({
          paths: pick(BETWEEN),
          before: async () => {
            await act(other);
            await sync(other);
          },
        });
      await sync(player);
      player.wire.clear();
    }
    let agreed = false;
    for (let round = 0; round < ROUNDS_TO_AGREE && !agreed; round++) {
      let quiet = true;
      for (const player of players) quiet = (await sync(player)) && quiet;
      agreed = quiet && new Set(players.map(({ seen }) => JSON.stringify(seen))).size === 1;
    }
    return { syncs, regressions, agreed };
  } finally {
    for (const { device, wire } of players) {
      await device.close();
      await wire.close();
    }
  }
}
