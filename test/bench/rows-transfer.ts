import { ratioFigure, type Bench, type Figure, type Row } from "./bench.ts";
import { inMegabytes, inTime } from "./measure.ts";
import { prototypeUpload, transfer, type Transfer } from "./transfers.ts";
import { WORKLOADS, type Workload } from "./workload.ts";

const ROUND_TRIP_MS = 50;

/** Most that each way may take, as a share of the reference. */
type Shares = Readonly<Partial<Record<Workload, { readonly up: number; readonly down: number | null }>>>;

function used(what: string, told: Transfer): Figure {
  const value = `client ${told.clientCpuSeconds.toFixed(1)} s CPU, peak ${inMegabytes(told.clientPeakBytes)}; server ${told.serverCpuSeconds.toFixed(1)} s CPU, peak ${inMegabytes(told.serverPeakBytes)}`;
  return { what: `${what}: used, both ways`, value, reference: "", ratio: null, target: "", met: null };
}

async function compare(
  bench: Bench,
  name: string,
  measured: (workload: Workload) => Promise<Transfer>,
  reference: (workload: Workload) => Promise<Transfer>,
  shares: Shares,
): Promise<readonly Figure[] | { readonly skipped: string }> {
  if ("missing" in bench.anki) return { skipped: bench.anki.missing };
  const figures: Figure[] = [];
  for (const workload of ["W1", "W2", "W3", "N1"] as const) {
    const share = shares[workload];
    if (share === undefined) continue;
    const [theirs, ours] = [await reference(workload), await measured(workload)];
    const rate = (ms: number): string => `${inTime(ms)} (${((WORKLOADS[workload].files / ms) * 1000).toFixed(0)} files/s)`;
    figures.push(ratioFigure(`${name}, ${workload} up`, rate(ours.upMs), inTime(theirs.upMs), ours.upMs / theirs.upMs, share.up));
    if (share.down !== null)
      figures.push(
        ratioFigure(`${name}, ${workload} down`, rate(ours.downMs), inTime(theirs.downMs), ours.downMs / theirs.downMs, share.down),
      );
    const idle = {
      what: `${name}, ${workload} nothing to do`,
      value: inTime(ours.idleMs),
      reference: inTime(theirs.idleMs),
      target: "",
      met: null,
    };
    figures.push(
      { ...idle, ratio: ours.idleMs / theirs.idleMs },
      used(`${name}, ${workload}`, ours),
      used(`the reference, ${workload}`, theirs),
    );
  }
  return figures;
}

/** First syncs, against the prototype and against the real Anki. */
export const TRANSFER_ROWS: readonly Row[] = [
  {
    id: "upload",
    async run(bench) {
      const figures: Figure[] = [];
      for (const workload of ["W1", "W2", "W3"] as const) {
        const bare = await prototypeUpload(bench, workload);
        const ours = await transfer(bench, "satchel", "satchel", workload);
        figures.push(
          ratioFigure(`first upload to our server, ${workload}`, inTime(ours.upMs), `prototype ${inTime(bare)}`, ours.upMs / bare, 1.2),
        );
        figures.push(used(`ours on ours, ${workload} (down ${inTime(ours.downMs)}, nothing to do ${inTime(ours.idleMs)})`, ours));
      }
      return figures;
    },
  },
  {
    id: "official-server",
    run: async (bench) =>
      await compare(
        bench,
        "our client on the official server",
        async (workload) => await transfer(bench, "satchel", "official", workload),
        async (workload) => await transfer(bench, "official", "official", workload),
        { W1: { up: 0.7, down: 0.35 }, W2: { up: 0.6, down: 0.4 }, W3: { up: 1, down: 0.25 } },
      ),
  },
  {
    id: "official-client",
    run: async (bench) =>
      await compare(
        bench,
        "the official client on our server",
        async (workload) => await transfer(bench, "official", "satchel", workload),
        async (workload) => await transfer(bench, "official", "official", workload),
        { W1: { up: 0.8, down: 0.8 }, W2: { up: 0.5, down: 0.5 }, W3: { up: 0.35, down: null } },
      ),
  },
  {
    id: "far-official",
    run: async (bench) =>
      await compare(
        bench,
        `our client on the official server, ${String(ROUND_TRIP_MS)} ms away`,
        async (workload) => await transfer(bench, "satchel", "official", workload, ROUND_TRIP_MS),
        async (workload) => await transfer(bench, "official", "official", workload, ROUND_TRIP_MS),
        { N1: { up: 0.33, down: 0.33 } },
      ),
  },
  {
    id: "far-ours",
    run: async (bench) =>
      await compare(
        bench,
        `ours on ours, ${String(ROUND_TRIP_MS)} ms away`,
        async (workload) => await transfer(bench, "satchel", "satchel", workload, ROUND_TRIP_MS),
        async (workload) => await transfer(bench, "official", "official", workload, ROUND_TRIP_MS),
        { N1: { up: 0.1, down: 0.1 } },
      ),
  },
];
