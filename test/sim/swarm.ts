/** What a session is made of, drawn from its seed: each run enables its own half of the faults; some have none, some only one (RELIABILITY 3.5). */
import type { NetFault } from "./net.ts";
import type { Rng } from "./rng.ts";
import type { Habits } from "./user.ts";
import type { NameRule, VolumeProfile } from "./volume.ts";

const NET: readonly NetFault[] = [
  "dropRequest",
  "dropReply",
  "duplicate",
  "cutBody",
  "cutReply",
  "stall",
  "proxy502",
  "tooLarge413",
  "tooMany429",
  "captivePortal",
  "garble",
];
const OTHERS = [
  "crash",
  "power",
  "commitCrash",
  "serverCrash",
  "serverPower",
  "diskWrite",
  "diskRead",
  "diskSync",
  "readdir",
  "unmount",
  "watchDrop",
  "watchOff",
  "watchDouble",
  "buggify",
  "stateLost",
] as const;
/** Drawn from a stream of their own: seeds of the time before them stay what they were. */
const LATER = ["denied", "serverRestored"] as const;
export type FaultClass = NetFault | (typeof OTHERS)[number] | (typeof LATER)[number];
const EARLIER: readonly FaultClass[] = [...NET, ...OTHERS];
export const FAULT_CLASSES: readonly FaultClass[] = [...EARLIER, ...LATER];

export type SessionOptions = {
  readonly seed: number;
  /** Instead of what the seed says. */
  readonly clients?: number;
  readonly ops?: number;
  readonly cloud?: "model" | "server" | "official";
  /** Fault classes left out, for shrinking. */
  readonly without?: ReadonlySet<FaultClass>;
  /** User operations left out (by number), for shrinking. */
  readonly skip?: ReadonlySet<number>;
  /** Rounds without a change that count as rest; 2 unless said. */
  readonly quietRounds?: number;
  /** A habit that all users have, whatever the seed says. */
  readonly habit?: "unlinkCreate" | "sweeping";
  /** Unmodified Anki clients beside ours, whatever the seed says. */
  readonly stock?: number;
  /** Disks that fold names, and names that meet there, whatever the seed says. */
  readonly twins?: boolean;
  readonly trace?: boolean;
  /** With `trace`: what the databases say of this path. */
  readonly about?: string;
  /** A planted bug (canaries.ts). */
  readonly canary?: string;
};

export type Swarm = {
  readonly clients: number;
  readonly ops: number;
  readonly faults: ReadonlySet<FaultClass>;
  readonly habits: Habits;
  readonly profiles: readonly VolumeProfile[];
  readonly skewsMs: readonly number[];
  readonly serverProfile: VolumeProfile;
  readonly cloud: "model" | "server" | "official";
  /** Between two things a person does, at most, by weight. */
  readonly hurry: boolean;
  readonly ballast: number;
  /** Unmodified Anki clients in the same account; they speak to the real server only. */
  readonly stock: number;
};

const NAMES = [
  "a.png",
  "b.png",
  "A.png",
  "sub/c.png",
  "sub/deep/d.png",
  "á.png",
  "x[1].png",
  "con.png",
  "e",
  "_meta",
  `${"m".repeat(116)}.png`,
  `${"n".repeat(116)}é.png`,
  "__proto__",
];

/** Streams of chance: `main` for what every session draws; the others came later, so that seeds of the time before them stay what they were. */
export type SwarmRng = { readonly main: Rng; readonly later: Rng; readonly names: Rng; readonly stock: Rng };

/** `needed`: faults that are on whatever the seed says. */
export function drawSwarm(options: SessionOptions, { main: rng, later, names, stock }: SwarmRng, needed: readonly FaultClass[]): Swarm {
  const clients = rng.weighted([
    [1, 1],
    [6, 2],
    [4, 3],
    [1, 4],
  ] as const);
  const ops = rng.weighted([
    [4, 8],
    [5, 25],
    [2, 60],
    [1, 150],
  ] as const);
  const faults = [...drawFaults(rng), ...drawLater(later)];
  const habits: Habits = {
    paths: someOf(rng, NAMES, 3 + rng.below(5)),
    unlinkCreate: rng.chance(0.5),
    slow: rng.chance(0.5),
    deletes: rng.chance(0.7),
    renames: rng.chance(0.5),
    truncates: rng.chance(0.2),
    odd: rng.chance(0.15),
    oldTimes: rng.chance(0.2),
    reverts: later.chance(0.3),
    sharedContents: rng.chance(0.5),
    sweeping: stock.chance(0.2),
    ...(options.habit === undefined ? {} : { [options.habit]: true }),
  };
  const count = options.clients ?? clients;
  const rules = drawRules(names, options.twins);
  const cloud = rng.chance(0.75) ? "server" : "model";
  return {
    clients: count,
    ops: options.ops ?? ops,
    faults: new Set([...faults, ...needed].filter((one) => options.without?.has(one) !== true)),
    habits: rules === null ? habits : { ...habits, paths: withTwins(names, habits.paths) },
    profiles: Array.from({ length: 8 }, (_, at) => ({ ...drawProfile(rng), names: rules?.[at] ?? "exact" })).slice(0, count + 1),
    skewsMs: Array.from({ length: 8 }, () => (rng.chance(0.3) ? (rng.below(20) - 10) * 3_600_000 : 0)).slice(0, count + 1),
    serverProfile: { ...drawProfile(rng), stateElsewhere: false },
    cloud: options.cloud ?? cloud,
    hurry: rng.chance(0.5),
    stock: options.stock ?? (stock.chance(0.2) ? 1 + stock.below(2) : 0),
    ballast: rng.chance(0.8) ? 4 : rng.chance(0.5) ? 0 : 14,
  };
}

/** How the disks of the devices meet names; null: all by the byte, as two sessions in three. */
function drawRules(rng: Rng, wanted: boolean | undefined): readonly NameRule[] | null {
  const some = rng.chance(0.33);
  if (!(wanted ?? some)) return null;
  return Array.from({ length: 8 }, () =>
    rng.weighted([
      [3, "exact"],
      [2, "case"],
      [2, "all"],
      [1, "nfd"],
    ] as const),
  );
}

/** Names that meet on some disks and not on others, beside those that they meet. */
function withTwins(rng: Rng, paths: readonly string[]): readonly string[] {
  const twins = paths.flatMap((path) => {
    const slash = path.lastIndexOf("/") + 1;
    const name = path.slice(slash);
    const others = [name.toUpperCase(), name.toLowerCase(), name.normalize("NFD"), name.replace(/^./u, (first) => first.toUpperCase())];
    return others.filter((other) => other !== name).map((other) => path.slice(0, slash) + other);
  });
  const more = someOf(rng, [...new Set(["á.png", "á.png".normalize("NFD"), "Á.png", ...twins])], 2 + rng.below(3));
  return [...new Set([...paths, ...more])];
}

function drawFaults(rng: Rng): ReadonlySet<FaultClass> {
  const kind = rng.below(10);
  if (kind === 0) return new Set();
  if (kind === 1) return new Set([rng.pick(EARLIER)]);
  return new Set(EARLIER.filter((one) => rng.chance(RARE.has(one) ? 0.12 : 0.4)));
}

/** Two in three sessions have none of them. */
function drawLater(rng: Rng): readonly FaultClass[] {
  return rng.chance(0.66) ? [] : LATER.filter(() => rng.chance(0.4));
}

/** What hides other trouble when it happens in every second session. */
const RARE: ReadonlySet<FaultClass> = new Set(["unmount", "stateLost", "watchOff", "garble", "captivePortal", "stall"]);

function drawProfile(rng: Rng): VolumeProfile {
  return {
    durability: rng.chance(0.6) ? "ordered" : "weak",
    timeStepMs: rng.weighted([
      [5, 1],
      [3, 4],
      [2, 10],
      [1, 2000],
    ] as const),
    stateElsewhere: rng.chance(0.2),
    noLinks: rng.chance(0.12),
    names: "exact",
  };
}

function someOf<T>(rng: Rng, items: readonly T[], count: number): T[] {
  const rest = [...items];
  return Array.from({ length: Math.min(count, rest.length) }, () => {
    const [item] = rest.splice(rng.below(rest.length), 1);
    if (item === undefined) throw new Error("swarm: nothing left to choose");
    return item;
  });
}
