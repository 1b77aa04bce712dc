/** What `doctor` can tell while no service runs: why it may not, and all that can be looked at without one. */
import { failed, ok, warning, type Check } from "./doctor-check.ts";
import { examineRemote, type RemoteProbes, type Tested } from "./doctor-remote.ts";
import { permissions, rootChecks, space, type RootProbes } from "./doctor.ts";

/**
 * `none`: it was stopped, or never started. `gone`: it ended without its goodbye (killed, or the machine went down). `silent`: its process
 * lives and does not answer. `other`: what answers is not a service of this version, or service.json can't be trusted.
 */
export type NoService =
  | { readonly kind: "none" }
  | { readonly kind: "gone" | "silent"; readonly pid: number }
  | { readonly kind: "other"; readonly why: string };

export type OfflineInput = RootProbes & {
  readonly service: NoService;
  /** What the last start said before it failed; null: it did not fail, or nobody knows. */
  readonly lastSaid: string | null;
  /** A directory of ours that must be writable, or the nearest one above it that is there. */
  readonly state: { readonly path: string; readonly isMade: boolean; readonly refused: string | null };
  /** @throws Error where the database's program can't be loaded */
  readonly sqliteVersion: () => string;
  readonly looseOnes: () => readonly string[];
  /** Why config.json and its neighbours can't be read. */
  readonly trouble: readonly string[];
  readonly roots: readonly string[];
  readonly remotes: readonly { readonly id: string; readonly url: string; readonly signedIn: boolean }[];
  /** The port that is set for the API; null: any, or none. `isFree`: nobody listens there. */
  readonly port: { readonly wanted: number; readonly isFree: boolean } | null;
  readonly remote: RemoteProbes;
};

/** Never rejects: what can't be looked at is a finding too. The first finding is the service itself. */
export async function examineOffline(input: OfflineInput): Promise<readonly Check[]> {
  const perRoot = await Promise.all(input.roots.map(async (root) => await rootChecks(input, root)));
  const perRemote = await Promise.all(
    input.remotes.map(async (remote) => await examineRemote(remote, async () => await reach(remote.url, input.remote), input.remote)),
  );
  const { state } = input;
  return [
    serviceCheck(input),
    program(input),
    await space(input, "disk of Satchel's own state", state.path),
    stateCheck(state),
    permissions(input.looseOnes()),
    ...input.trouble.map((why) => failed("settings", why, "Mend the file or put it aside, then start the service.")),
    ...portChecks(input.port),
    ...perRoot.flat(),
    ...perRemote.flat(),
    ...(input.roots.length === 0 && input.trouble.length === 0
      ? [warning("folders", "None is looked after yet.", "Start the service, then add one: satchel add FOLDER")]
      : []),
  ];
}

function serviceCheck({ service, lastSaid }: OfflineInput): Check {
  const name = "service";
  const start = "Start it: satchel service start";
  const said = lastSaid === null ? "" : ` It last said: ${lastSaid}`;
  switch (service.kind) {
    case "none":
      return failed(name, `It does not run.${said}`, start);
    case "gone":
      return failed(
        name,
        `It does not run, and did not end by itself: its process (${service.pid}) was killed or the machine went down.${said}`,
        `${start}. It takes up what was begun; nothing needs to be removed.`,
      );
    case "silent":
      return failed(
        name,
        `Its process (${service.pid}) is there and does not answer.`,
        `Wait a moment and try again. If it stays so: kill ${service.pid}, then satchel service start`,
      );
    case "other":
      return failed(name, service.why, "Stop what answers there, then: satchel service start");
  }
}

function program({ sqliteVersion }: OfflineInput): Check {
  const about = `Node ${process.versions.node}, ${process.platform}-${process.arch}`;
  try {
    return ok("program", `${about}, SQLite ${sqliteVersion()}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return failed("program", `${about}; its database can't be loaded: ${why}`, "Install Satchel again for this machine: npm ci");
  }
}

function stateCheck({ path, isMade, refused }: OfflineInput["state"]): Check {
  const name = `writing in ${path}`;
  if (refused !== null)
    return failed(name, `Satchel can't write there: ${refused}.`, "Give yourself the right to, or choose another place with SATCHEL_HOME.");
  return ok(name, isMade ? "works" : "works; the first start makes Satchel's own directory there");
}

function portChecks(port: OfflineInput["port"]): readonly Check[] {
  if (port === null) return [];
  const name = `port ${port.wanted}`;
  return [
    port.isFree
      ? ok(name, "free")
      : failed(name, "Another program listens there.", "End it, or set another tcpPort in config.json (0: any that is free)."),
  ];
}

/** Whether a sync server answers. Nobody signs in: the key is the service's to use. */
async function reach(url: string, probes: RemoteProbes): Promise<Tested> {
  const began = performance.now();
  const told = await probes.health(url);
  const roundTripMs = Math.round(performance.now() - began);
  const isServer = told.kind === "answer" && told.status === 200 && !told.page;
  return { ok: isServer, detail: isServer ? "a sync server answers; the sign-in was not tried" : "No sync server answers.", roundTripMs };
}
