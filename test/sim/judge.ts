/** The last judgement: everything at rest, faults over, nobody at the keyboard (RELIABILITY 2.2, 2.3). */
import { fromWire } from "../../service/core/wire-names.ts";
import type { Cloud } from "./cloud.ts";
import type { Ledger } from "./ledger.ts";
import type { Machine } from "./machine.ts";
import { pathOf } from "./names.ts";
import type { StockDevice } from "./stock-device.ts";
import { diskFiles, keptHashes, ROOT, short, userFiles, type Oracles } from "./oracles.ts";

type Facts = {
  readonly machine: Machine;
  readonly name: string;
  readonly files: ReadonlyMap<string, string>;
  /** Paths with a problem or a hold. */
  readonly problems: ReadonlySet<string>;
};

export type Judged = {
  readonly machines: readonly Machine[];
  readonly stock: readonly StockDevice[];
  readonly cloud: Cloud;
  readonly ledger: Ledger;
  readonly oracles: Oracles;
  /** Hashes whose upload was acknowledged: from then on they may not vanish (S18). */
  readonly uploaded: ReadonlySet<string>;
  /** No process died and no disk failed in this session. */
  readonly calm: boolean;
};

/** Asks everything that can only be asked at rest. */
export async function judge(judged: Judged): Promise<void> {
  const { machines, cloud, ledger, oracles, uploaded } = judged;
  const there = await cloud.files();
  const onServer = pathsThere(there);
  const devices = machines.map((machine) => factsOf(machine, onServer));
  const stored = new Set<string>(await cloud.holds([...uploaded]));
  for (const { machine, files } of devices) {
    for (const sha1 of keptHashes(machine.volume, false)) stored.add(sha1);
    for (const sha1 of files.values()) stored.add(sha1);
  }
  oracles.checkAtRest({ devices, stored, uploaded });
  agreement(oracles, devices, onServer);
  for (const { name, files } of judged.stock.map((device) => ({ name: device.name, files: device.files() }))) {
    for (const at of new Set([...files.keys(), ...there.keys()]))
      if (files.get(at) !== there.get(at))
        oracles.fail(
          "L1",
          `${name} has ${short(files.get(at) ?? "nothing")} at ${at}, the server has ${short(there.get(at) ?? "nothing")}`,
        );
  }
  for (const device of devices) books(judged, device);
  for (const sha1 of there.values()) {
    if (!ledger.contents.has(sha1)) oracles.fail("S6", `the server holds bytes ${short(sha1)} that nobody wrote`);
  }
  for (const fault of await cloud.faults()) oracles.fail("S11", `the server's own check: ${fault}`);
}

function pathsThere(there: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map(
    [...there].map(([wireName, sha1]) => {
      const decoded = fromWire(wireName);
      return [decoded.kind === "path" ? decoded.path : wireName, sha1];
    }),
  );
}

/**
 * What the user sees, by path. A file that somebody on another disk moved together with its stand-in name has that as its real name from then
 * on: it is on the server.
 */
function filesThere({ volume }: Machine, onServer: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const files = userFiles(volume);
  for (const [diskPath, sha1] of diskFiles(volume)) {
    const [path, literal] = [pathOf(volume, ROOT, diskPath), diskPath.normalize("NFC")];
    if (path === literal || onServer.has(path) || !onServer.has(literal)) continue;
    files.delete(path);
    files.set(literal, sha1);
  }
  return files;
}

function factsOf(machine: Machine, onServer: ReadonlyMap<string, string>): Facts {
  const rows = machine.process?.store.folder(machine.folder);
  const problems = new Set((rows?.problems.list() ?? []).map(({ path }) => path));
  for (const hold of rows?.holds.list("held") ?? []) for (const path of hold.paths) problems.add(path);
  // One of two spellings that stand side by side is a problem, and it is not ours to say which.
  for (const path of problems) for (const form of ["NFC", "NFD"]) problems.add(path.normalize(form));
  for (const diskPath of diskFiles(machine.volume).keys()) if (problems.has(pathOf(machine.volume, ROOT, diskPath))) problems.add(diskPath);
  return { machine, name: machine.name, files: filesThere(machine, onServer), problems };
}

/** L1: all devices and the server agree on every path without a problem. */
function agreement(oracles: Oracles, devices: readonly Facts[], onServer: ReadonlyMap<string, string>): void {
  const troubled = new Set(devices.flatMap(({ problems }) => [...problems]));
  for (const { name, files } of devices) {
    for (const path of new Set([...files.keys(), ...onServer.keys()])) {
      const [here, remote] = [files.get(path), onServer.get(path)];
      if (here === remote || troubled.has(path)) continue;
      oracles.fail("L1", `${name} has ${short(here ?? "nothing")} at ${path}, the server has ${short(remote ?? "nothing")}`);
    }
  }
}

/** N9, S15, S20: what the service has written down fits the disk and the truth. */
function books({ oracles, ledger, calm }: Judged, { machine, name, files, problems }: Facts): void {
  const store = machine.process?.store;
  if (store === undefined) return oracles.fail("L2", `${name} is not up`);
  const rows = store.folder(machine.folder);
  for (const [path, sha1] of files) {
    if (problems.has(path) || rows.entries.get(path)?.sha1 === sha1) continue;
    oracles.fail("N9", `${name}: ${path} is neither synced, pending nor a problem`);
  }
  const bad = store.checkChangeLog();
  if (bad !== null) oracles.fail("S20", `${name}: the change log is broken at ${bad}`);
  const { powerCuts, statesLost, unmounts } = machine.history;
  // Then what somebody else wrote may appear here with nobody having put it.
  if (powerCuts + statesLost + unmounts > 0) return;
  for (const change of rows.changes.since(0, Number.MAX_SAFE_INTEGER)) {
    if (change.origin !== "user" || change.sha1 === null) continue;
    // What was put in place and then not booked (a crash, a disk that failed) is found by the next scan: one booking, never a version.
    if (!calm && (change.path.includes(".conflict-") || oracles.hasPlaced(name, change.path, change.sha1))) continue;
    // A file that was written beside what the engine had put there, under the other spelling, went again: then the engine's is the path's file anew.
    if (hasSpellings(machine, change.path) && oracles.hasPlaced(name, change.path, change.sha1)) continue;
    const written = ledger.get(change.path, change.sha1);
    if (written?.writers.has(name) === true) continue;
    // A conflict copy is a second name of the file that stood there: what a program writes through the first one, between the last look and the rename, is in both.
    if (change.path.includes(".conflict-") && [...ledger.all()].some(({ sha1, writers }) => sha1 === change.sha1 && writers.has(name)))
      continue;
    oracles.fail("S15", `${name}: ${change.path} (${short(change.sha1)}) is booked as a user's change, but no user wrote it here`);
  }
}

/** Two files may stand for this path: composed and decomposed are told apart there. */
function hasSpellings({ volume }: Machine, path: string): boolean {
  return volume.profile.names === "exact" && path.normalize("NFD") !== path;
}
