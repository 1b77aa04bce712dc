/** What goes wrong when: faults by the swarm of the session, each drawn from a stream of its own. Over when the session heals. */
import type { DiskFault, FaultPoint } from "../../service/core/ports.ts";
import type { DiskOp } from "./disk.ts";
import type { NetFault } from "./net.ts";
import type { Rng } from "./rng.ts";
import type { FaultClass } from "./swarm.ts";
import type { WatchFaults } from "./watcher.ts";

/** Points that only choose a rarer way; at the others a step fails. */
const LEGAL: ReadonlySet<FaultPoint> = new Set<FaultPoint>([
  "scan/dropHints",
  "plan/oneOpOnly",
  "fetch/pageOf1",
  "conflict/nameTaken",
  "upload/replyIgnored",
  "upload/splitBatch",
  "server/shortPrefix",
  "server/feedOf1",
  "server/gcNow",
]);

export class Weather {
  /** False: fine weather, whatever the swarm says. */
  rough = true;
  /** What was met on the way, by name. */
  readonly seen = new Map<string, number>();
  readonly #faults: ReadonlySet<FaultClass>;
  readonly #stream: (name: string) => Rng;

  constructor(faults: ReadonlySet<FaultClass>, stream: (name: string) => Rng) {
    this.#faults = faults;
    this.#stream = stream;
  }

  on(fault: FaultClass): boolean {
    return this.rough && this.#faults.has(fault);
  }

  saw(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  net(fault: NetFault): boolean {
    if (!this.on(fault) || !this.#stream("net faults").chance(0.06)) return false;
    this.saw(`net ${fault}`);
    return true;
  }

  disk(where: string): (op: DiskOp) => DiskFault | null {
    const rng = this.#stream(`disk faults ${where}`);
    return (op) => {
      if (!this.rough) return null;
      const fault = this.#diskFault(op, rng);
      if (fault !== null) this.saw(`disk ${op} ${fault}`);
      return fault;
    };
  }

  watch(where: string): () => WatchFaults {
    const rng = this.#stream(`watch faults ${where}`);
    return () => ({
      drop: this.on("watchDrop"),
      dropAll: this.on("watchOff"),
      double: this.on("watchDouble"),
      lost: this.on("watchDrop"),
      impossible: this.on("watchOff") && rng.chance(0.5),
    });
  }

  /** STYLE's `Faults`. */
  points(where: string): (point: FaultPoint) => boolean {
    const rng = this.#stream(`points ${where}`);
    return (point) => {
      if (!this.on("buggify") || !rng.chance(LEGAL.has(point) ? 0.2 : 0.02)) return false;
      this.saw(`point ${point}`);
      if (LEGAL.has(point)) return true;
      throw new Error(`injected: ${point}`);
    };
  }

  dieAfterCommit(where: string): () => boolean {
    const rng = this.#stream(`commits ${where}`);
    return () => {
      if (!this.on("commitCrash") || !rng.chance(0.01)) return false;
      this.saw("killed at a commit");
      return true;
    };
  }

  #diskFault(op: DiskOp, rng: Rng): DiskFault | null {
    switch (op) {
      case "create":
      case "write":
      case "append":
      case "copy":
      case "link":
      case "rename":
      case "unlink":
      case "mkdir":
      case "rmdir":
        return this.on("diskWrite") && rng.chance(0.02) ? rng.pick(["noSpace", "io", "access", "readOnly", "busy", "tooManyOpen"]) : null;
      case "fsync":
      case "fsyncDir":
        return this.on("diskSync") && rng.chance(0.03) ? "io" : null;
      case "readdir":
        return this.on("readdir") && rng.chance(0.08) ? rng.pick(["io", "access", "tooManyOpen"]) : null;
      case "lstat":
      case "hash":
      case "read":
      case "space":
      case "caps":
        return this.on("diskRead") && rng.chance(0.01) ? rng.pick(["io", "access", "tooManyOpen"]) : null;
    }
  }
}
