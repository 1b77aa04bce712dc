/** A person at a machine, with the habits of real programs: saves in place, by rename, by unlink and create; deletes, renames, restores. */
import { claimOf } from "./disk.ts";
import type { Ledger } from "./ledger.ts";
import { sha1Of } from "./ledger.ts";
import { hasTwin, isForeignStandIn, isOwnStandIn, pathOf } from "./names.ts";
import { diskFiles, ROOT } from "./oracles.ts";
import type { Rng } from "./rng.ts";
import type { Life, Scheduler } from "./scheduler.ts";
import type { Node, Volume } from "./volume.ts";

export type Habits = {
  readonly paths: readonly string[];
  /** Editors that delete the file and make it anew (W2, S5). */
  readonly unlinkCreate: boolean;
  /** Saves that take a while, with half the bytes standing there meanwhile. */
  readonly slow: boolean;
  readonly deletes: boolean;
  readonly renames: boolean;
  readonly truncates: boolean;
  /** Symlinks and FIFOs where files stood. */
  readonly odd: boolean;
  /** Times put back after a write (CT04, TM05). */
  readonly oldTimes: boolean;
  /** Goes back to what the file was before (S3: then both are ancestors of one another). */
  readonly reverts: boolean;
  /** The same bytes saved on several devices (CT16). */
  readonly sharedContents: boolean;
  /** Deletes whatever is in the folder, moves a folder, or puts an old copy of everything back over what is there. */
  readonly sweeping: boolean;
};

/** Longest pause within one save: shorter than the settle window of a disappearance (2 s). */
const PAUSE_MS = 900;

export class User {
  readonly #name: string;
  readonly #scheduler: Scheduler;
  /** The machine's power: a cut ends what its programs were doing. */
  #power: Life;
  readonly #volume: Volume;
  readonly #ledger: Ledger;
  readonly #rng: Rng;
  readonly #habits: Habits;
  /** Paths that a program is in the middle of saving. */
  readonly #saving = new Set<string>();
  /** What was saved here, by path. */
  readonly #past = new Map<string, Uint8Array[]>();
  #made = 0;
  closes = 0;

  constructor(given: {
    readonly name: string;
    readonly scheduler: Scheduler;
    readonly power: Life;
    readonly volume: Volume;
    readonly ledger: Ledger;
    readonly rng: Rng;
    readonly habits: Habits;
  }) {
    this.#name = given.name;
    this.#scheduler = given.scheduler;
    this.#power = given.power;
    this.#volume = given.volume;
    this.#ledger = given.ledger;
    this.#rng = given.rng;
    this.#habits = given.habits;
  }

  get busy(): boolean {
    return this.#saving.size > 0;
  }

  /** One thing a person does. */
  act(): void {
    const rng = this.#rng;
    const habits = this.#habits;
    const standing = [...diskFiles(this.#volume).keys()].filter((path) => !this.#saving.has(path));
    const path = this.#spelled(rng.chance(0.7) || standing.length === 0 ? rng.pick(habits.paths) : rng.pick(standing));
    if (this.#saving.has(path)) return;
    const choice = rng.weighted([
      [10, "save"],
      [habits.deletes ? 4 : 0, "delete"],
      [habits.renames ? 2 : 0, "rename"],
      [habits.truncates ? 1 : 0, "truncate"],
      [habits.odd ? 1 : 0, "odd"],
      [habits.reverts ? 3 : 0, "revert"],
      [habits.sweeping ? 1 : 0, "empty"],
      [habits.sweeping ? 1 : 0, "move"],
      [habits.sweeping ? 1 : 0, "restore"],
    ] as const);
    const how = rng.weighted([
      [3, "inPlace"],
      [3, "replace"],
      [habits.unlinkCreate ? 3 : 0, "unlinkCreate"],
      [habits.slow ? 2 : 0, "slow"],
    ] as const);
    const past = choice === "revert" ? (this.#past.get(path) ?? []) : [];
    const bytes = past.length > 0 ? rng.pick(past) : this.#contents(path);
    const wish = rng.pick(habits.paths);
    const target = this.#volume.profile.names === "case" ? wish.normalize("NFC") : wish;
    if (choice === "save" || choice === "revert" || (choice === "rename" && target === path)) this.save(path, bytes, how);
    else if (choice === "delete") this.remove(path);
    else if (choice === "rename") this.rename(path, target);
    else if (choice === "empty") for (const each of standing) this.remove(each);
    else if (choice === "move") this.#moveFolder(standing);
    else if (choice === "restore") this.#restoreBackup(standing);
    else if (choice === "truncate") this.#inPlace(path, new Uint8Array());
    else this.#makeOdd(path, rng.chance(0.5) ? "symlink" : "special");
  }

  save(path: string, bytes: Uint8Array, how: "inPlace" | "replace" | "unlinkCreate" | "slow"): void {
    this.closes += 1;
    this.#makeFolder(path);
    if (how === "inPlace" || this.#at(path) === null) this.#inPlace(path, bytes);
    else if (how === "replace") this.#replace(path, bytes);
    else if (how === "slow") this.#slowly(path, bytes);
    else this.#anew(path, bytes);
  }

  remove(path: string): void {
    this.#whenFree([path], () => {
      const node = this.#at(path);
      if (node === null || node.kind === "directory") return;
      const ledgerPath = this.#pathOf(path);
      this.#volume.unlink(`${ROOT}/${path}`);
      this.#volume.settleName(`${ROOT}/${path}`);
      if (node.kind === "file") this.#forgo(path, ledgerPath, node.bytes);
      this.#note(`deletes ${path} (${sha1Of(node.bytes).slice(0, 8)})`);
    });
  }

  rename(from: string, to: string): void {
    this.#whenFree([from, to], () => {
      const node = this.#at(from);
      const there = this.#at(to);
      if (node?.kind !== "file" || there?.kind === "directory" || this.#saving.has(this.#spelled(to)) || this.#waits(to)) return;
      if (isForeignStandIn(this.#volume, to)) return;
      this.#makeFolder(to);
      const fromPath = this.#pathOf(from);
      this.#renamed(`${ROOT}/${from}`, to);
      this.#volume.settleName(`${ROOT}/${from}`);
      this.#forgo(from, fromPath, node.bytes);
      this.#note(`renames ${from} to ${to} (${sha1Of(node.bytes).slice(0, 8)})`);
    });
  }

  /** The power went, or the disk under the folder: programs in the middle of a save never finish it. */
  powerLost(): void {
    for (const path of this.#saving) this.#ledger.abandoned(this.#name, this.#pathOf(path));
    this.#saving.clear();
  }

  powerBack(power: Life): void {
    this.#power = power;
  }

  #contents(path: string): Uint8Array {
    const rng = this.#rng;
    this.#made += 1;
    // The world's time decides which shared bytes are written: two devices at about the same time save the same.
    const shared = this.#habits.sharedContents && rng.chance(0.15);
    const text = shared
      ? `#${Math.floor(this.#scheduler.nowMs / 20_000)} ${path} shared by all`
      : `${this.#name}#${this.#made} ${path} and what is in it`;
    const length = rng.weighted([
      [12, 0],
      [2, 200],
      [1, 4097],
    ] as const);
    const bytes = new Uint8Array(Buffer.from(text.padEnd(length, `${text} `)));
    this.#past.set(path, [...(this.#past.get(path) ?? []), bytes]);
    return bytes;
  }

  #inPlace(path: string, bytes: Uint8Array): void {
    const { noLinks, stateElsewhere } = this.#volume.profile;
    // Where versions are copies, what is written in that instant is in none of them: as short, and as rare, as for a file renamed in.
    if (noLinks || stateElsewhere) this.#whenFree([path], () => this.#writeOver(path, bytes));
    else this.#writeOver(path, bytes);
  }

  #writeOver(path: string, bytes: Uint8Array): void {
    const node = this.#at(path);
    if (node !== null && node.kind !== "file") return;
    this.put(path, bytes);
    const written = this.#at(path);
    if (this.#habits.oldTimes && written !== null && this.#rng.chance(0.2)) {
      this.#volume.setModified(written, node?.mtimeNs ?? written.mtimeNs - 86_400e9);
    }
    this.#note(`writes ${path}`);
  }

  /** Temp file beside it, then a rename over it. */
  #replace(path: string, bytes: Uint8Array): void {
    this.#saving.add(path);
    const temp = `${ROOT}/${path}.tmp`;
    if (this.#volume.find(temp) !== null) this.#volume.unlink(temp);
    this.#volume.write(this.#volume.makeFile(temp, 0o644), bytes, temp);
    this.#later(path, () => {
      this.#whenFree([path], () => {
        const before = this.#at(path);
        this.#saving.delete(path);
        if (before?.kind === "directory" || this.#volume.find(temp) === null || this.#waits(path)) return;
        if (before === null && isOwnStandIn(this.#volume, path)) return;
        this.#renamed(temp, path);
        this.#volume.settleName(temp);
        this.#note(
          `replaces ${path}: ${before?.kind === "file" ? sha1Of(before.bytes).slice(0, 8) : "nothing"} → ${sha1Of(bytes).slice(0, 8)}`,
        );
      });
    });
  }

  #slowly(path: string, bytes: Uint8Array): void {
    this.#saving.add(path);
    this.put(path, bytes.slice(0, (bytes.length >> 1) + 1));
    this.#later(path, () => {
      this.#saving.delete(path);
      const node = this.#at(path);
      // A program writes on into the file it has open, wherever the name went; only the name's own file is modelled.
      if (node?.kind === "file") this.put(path, bytes);
      this.#note(`finishes ${path}`);
    });
  }

  #anew(path: string, bytes: Uint8Array): void {
    this.#saving.add(path);
    this.#whenFree([path], () => {
      const node = this.#at(path);
      if (node?.kind !== "file") {
        this.#saving.delete(path);
        return;
      }
      const ledgerPath = this.#pathOf(path);
      this.#volume.unlink(`${ROOT}/${path}`);
      this.#volume.settleName(`${ROOT}/${path}`);
      this.#ledger.removed(this.#name, ledgerPath, sha1Of(node.bytes), false);
      this.#note(`unlinks ${path} to save it`);
      this.#later(path, () => {
        this.#saving.delete(path);
        const arrived = this.#at(path);
        if (arrived !== null && arrived.kind !== "file") return;
        this.#makeFolder(path);
        this.put(path, bytes);
        // Another spelling has taken the name meanwhile, and the program wrote into that file: its own is gone.
        if (this.#pathOf(path) !== ledgerPath) this.#ledger.abandoned(this.#name, ledgerPath);
        this.#note(`makes ${path} anew`);
      });
    });
  }

  /** As a file manager does where it can't rename a folder: file by file. */
  #moveFolder(standing: readonly string[]): void {
    const inside = standing.filter((path) => path.startsWith("sub/"));
    const [from, to] = inside.length > 0 ? ["sub/", "moved/"] : ["moved/", "sub/"];
    for (const path of standing) if (path.startsWith(from)) this.rename(path, to + path.slice(from.length));
  }

  /** What each file was when the copy was made; what came since stays. */
  #restoreBackup(standing: readonly string[]): void {
    for (const path of standing) {
      const [old] = this.#past.get(path) ?? [];
      if (old !== undefined) this.save(path, old, "inPlace");
    }
  }

  #makeOdd(path: string, kind: "symlink" | "special"): void {
    if (this.#at(path) !== null || this.#waits(path)) return;
    this.#makeFolder(path);
    this.#volume.makeOdd(`${ROOT}/${path}`, kind);
    this.#volume.settleName(`${ROOT}/${path}`);
    this.#note(`makes a ${kind} at ${path}`);
  }

  /** Leaves these bytes there, all at once. */
  put(wanted: string, bytes: Uint8Array): void {
    const path = this.#spelled(wanted);
    this.#makeFolder(path);
    const full = `${ROOT}/${path}`;
    const before = this.#at(path);
    if ((before !== null && before.kind !== "file") || this.#waits(path)) return;
    const node = before ?? this.#volume.makeFile(full, 0o644);
    const was = before === null ? this.#rivalOf(path) : sha1Of(before.bytes);
    this.#volume.write(node, bytes, full);
    this.#volume.settleName(full);
    this.#ledger.wrote(this.#name, this.#pathOf(path), was, bytes);
    this.#note(`${path}: ${was?.slice(0, 8) ?? "nothing"} → ${sha1Of(bytes).slice(0, 8)}`);
  }

  #makeFolder(path: string): void {
    const cut = path.lastIndexOf("/");
    if (cut === -1) return;
    const folder = `${ROOT}/${path.slice(0, cut)}`;
    if (this.#volume.find(folder) !== null) return;
    this.#volume.makeDirectory(folder);
    for (let at = folder; at.length > ROOT.length; at = at.slice(0, at.lastIndexOf("/"))) this.#volume.settleName(at);
  }

  /** A rename by a user's program, over whatever stands there. */
  #renamed(fromFull: string, to: string): void {
    const node = this.#volume.find(fromFull);
    const there = this.#at(to);
    const before = this.#pathOf(to);
    if (node === null) return;
    const replaced = there?.kind === "file" && there !== node ? sha1Of(there.bytes) : null;
    this.#volume.rename(fromFull, `${ROOT}/${to}`);
    this.#volume.settleName(`${ROOT}/${to}`);
    const after = this.#pathOf(to);
    // The name that stood there went with its file: another spelling stands now.
    if (before !== after && replaced !== null) this.#ledger.removed(this.#name, before, replaced, true);
    this.#ledger.wrote(this.#name, after, before === after ? (replaced ?? this.#rivalOf(to)) : null, node.bytes);
  }

  /** A file goes for good; where another spelling of its path stands, that one is the path's file from now on. */
  #forgo(path: string, ledgerPath: string, bytes: Uint8Array): void {
    const rival = this.#rival(path);
    this.#ledger.removed(this.#name, ledgerPath, sha1Of(bytes), true);
    if (rival !== null) this.#ledger.wrote(this.#name, ledgerPath, null, rival.bytes);
  }

  /** On a disk that tells composed from decomposed: the file under the other spelling, which a new one takes the path from. */
  #rival(path: string): Node | null {
    if (this.#volume.profile.names !== "exact") return null;
    const other = path === path.normalize("NFC") ? path.normalize("NFD") : path.normalize("NFC");
    const node = other === path ? null : this.#at(other);
    return node?.kind === "file" ? node : null;
  }

  #rivalOf(path: string): string | null {
    const rival = this.#rival(path);
    return rival === null ? null : sha1Of(rival.bytes);
  }

  /** Its file stands under the stand-in name, and nobody gives it a rival: that case has a test of its own. */
  #waits(path: string): boolean {
    const spelled = this.#spelled(path);
    return hasTwin(this.#volume, ROOT, spelled.normalize("NFC")) || hasTwin(this.#volume, ROOT, path.normalize("NFC"));
  }

  /** Programs where only the case is folded (Windows) write composed names. */
  #spelled(path: string): string {
    const written = this.#volume.profile.names === "case" ? path.normalize("NFC") : path;
    return this.#volume.spell(`${ROOT}/${written}`).slice(ROOT.length + 1);
  }

  /** What the ledger calls it. */
  #pathOf(path: string): string {
    return pathOf(this.#volume, ROOT, this.#spelled(path));
  }

  #at(path: string) {
    return this.#volume.find(`${ROOT}/${path}`);
  }

  #later(path: string, work: () => void): void {
    const pauseMs = this.#rng.weighted([
      [2, 0],
      [2, 20],
      [1, PAUSE_MS],
    ] as const);
    this.#scheduler.after(this.#power, this.#rng.below(pauseMs + 1), `save ${path}`, () => {
      if (this.#saving.has(path)) work();
    });
  }

  /** Waits out the microseconds between the engine's last look and its act: no program is that quick there (RELIABILITY 3.1). */
  #whenFree(paths: readonly string[], work: () => void): void {
    if (!paths.some((path) => this.#scheduler.isClaimed(claimOf(this.#volume, `${ROOT}/${path}`)))) return work();
    this.#scheduler.after(this.#power, 1, `retry ${paths.join(" ")}`, () => this.#whenFree(paths, work));
  }

  #note(text: string): void {
    this.#scheduler.note(`user@${this.#name} ${text}`);
  }
}
