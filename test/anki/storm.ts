import { startProxy, type Proxy } from "../support/proxy.ts";
import { officialDevice, satchelDevice, type Device, type Kind } from "./device.ts";
import type { Driver } from "./official-client.ts";
import { bytesOf, sha1, tree, UPLOAD } from "./world.ts";

const NAMES = ["a.png", "b.png", "c.png", "d.png", "e.png"] as const;
const ROUNDS_TO_AGREE = 12;
/** Where another device may come in between. */
const BETWEEN = [["msync/mediaChanges", "satchel/changes"], UPLOAD, ["msync/mediaSanity"]] as const;

/** Who plays in a storm, and for how long. */
export type StormPlan = {
  readonly kinds: readonly Kind[];
  readonly syncsMin: number;
  /** Our guard asks at the eleventh deletion within ten minutes. */
  readonly oneDeletionIn: number;
  readonly seed: number;
  /** Every upload says what it replaces: then no version may be replaced unseen. Where one does not (a stock client, or towards the official
   * server) another device can write between its last page and its upload, and what that device wrote is only kept as a version. */
  readonly conditional: boolean;
};

/**
 * What a storm showed. `regressions`: a sync put an ancestor in a newer version's place, or brought back what its own user had deleted;
 * or, where uploads are conditional, a version was replaced by one that did not know it, and no visible copy was kept (N3).
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

const short = (hash: string | undefined): string => hash?.slice(0, 5) ?? "nothing";

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
  { kinds, syncsMin, oneDeletionIn, seed, conditional }: StormPlan,
): Promise<Storm> {
  const random = chance(seed);
  const family = new Family();
  /** Versions that a user replaced or deleted where they stood: nobody needs to keep those in sight (S2 "explicit"). */
  const ended = new Set<string>();
  const regressions: string[] = [];
  /** What happened to each name, for the report. */
  const history = new Map<string, string[]>(NAMES.map((name) => [name, []]));
  const tell = (name: string, text: string): void => {
    history.get(name)?.push(text);
  };
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
    if (current !== undefined) ended.add(current);
    const copied = await pick(players).device.read(name);
    const what = random(oneDeletionIn);
    if (what === 0) {
      if (current === undefined) return;
      await player.device.remove(name);
      player.deleted.set(name, current);
      tell(name, `${player.label} deletes ${short(current)}`);
    } else {
      const bytes = what === 1 && copied !== null ? copied : bytesOf(`${String(seed)}/${String(++saves)}`, 50);
      await player.device.write(name, bytes);
      family.born(sha1(bytes), current ?? player.deleted.get(name));
      player.deleted.delete(name);
      tell(name, `${player.label} writes ${short(sha1(bytes))} over ${short(current)}`);
    }
    player.seen = await tree(player.device);
  }

  function judge(player: Player, before: Tree, after: Tree): void {
    for (const name of NAMES) {
      const [was, is] = [before[name] ?? player.deleted.get(name), after[name]];
      if (before[name] !== is) tell(name, `sync ${String(syncs)} of ${player.label}: ${short(before[name])} to ${short(is)}`);
      const report = (what: string): void => {
        const there = Object.entries(after).map(([file, hash]) => `${file} ${short(hash)}`);
        regressions.push(
          `sync ${String(syncs)}: ${player.label} ${name} ${what}; before: ${(history.get(name) ?? []).slice(-12).join(", ")}; now there: ${there.join(" ")}`,
        );
      };
      if (was === undefined || is === undefined) continue;
      const wasDeleted = before[name] === undefined;
      if (was === is && !wasDeleted) continue;
      const knew = wasDeleted || ended.has(was) || family.isAncestor(was, is) || Object.values(after).includes(was);
      if (conditional && !knew) report("silently replaced");
      const back = wasDeleted ? is === was || family.isAncestor(is, was) : family.isAncestor(is, was) && !family.isAncestor(was, is);
      if (back) report(wasDeleted ? "came back" : "fell back");
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
