/** The session of one window: attach or start, prove who is there, subscribe, and begin again whenever the service goes. */
import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import type { StoredEvent } from "../protocol/api/model.ts";
import type { MethodName, ParamsOf, ResultOf } from "../protocol/api/table.ts";
import type { ServiceFile } from "../protocol/config.ts";
import { PROTOCOL_VERSION, VERSION } from "../protocol/version.ts";
import { logTrouble, type Log } from "./log-words.ts";
import { launchService, readServiceFile, type LaunchOptions } from "./launch.ts";
import {
  RequestError,
  type Hello,
  type LanguageLine,
  type Listening,
  type ProgressNotice,
  type Session,
  type SessionState,
} from "./session.ts";
import { Wire, type Notice } from "./wire.ts";

/** After the service went, or did not start: the waits double between these, with jitter, so that windows do not come back together. */
const BACK_OFF_MS = { first: 250, most: 30_000 };
/** While nobody asked for a service: how often to look whether somebody started one. */
const LOOK_EVERY_MS = { first: 100, most: 3000 };
/** The service's goodbye at a clean stop. */
const GOING_AWAY = 1001;
/** How long a service that was told to leave for a newer one may take to end its runs. */
const LEAVE_MS = 30_000;
const LEAVE_LOOK_MS = 50;

export type SessionOptions = LaunchOptions & {
  /** Stands in the service's log. */
  readonly client: string;
  /** True: a service is started where none runs, without being asked for. */
  readonly startAtOnce: boolean;
  readonly log: Log;
  /** This extension's; a test may say otherwise. */
  readonly version?: string;
  /** Tells jitter: 0 to 1. */
  readonly chance?: () => number;
};

type Met = { readonly wire: Wire; readonly hello: Hello };

export function openSession(options: SessionOptions): Session {
  return new LiveSession(options);
}

class LiveSession implements Session {
  readonly #options: SessionOptions;
  readonly #version: string;
  readonly #closing = new AbortController();
  readonly #states = new Set<(state: SessionState) => void>();
  readonly #events = new Set<(event: StoredEvent) => void>();
  readonly #progress = new Set<(notice: ProgressNotice) => void>();
  #state: SessionState = { kind: "connecting" };
  #wire: Wire | null = null;
  /** Number of the last event that was handed out; null: none yet. */
  #lastSeq: number | null = null;
  /** A service may be started; false: only attached to. */
  #mayStart: boolean;
  #wake = new AbortController();
  #failures = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#version = options.version ?? VERSION;
    this.#mayStart = options.startAtOnce;
    void this.#live();
  }

  get state(): SessionState {
    return this.#state;
  }

  onState(listener: (state: SessionState) => void): Listening {
    return listen(this.#states, listener);
  }

  onEvent(listener: (event: StoredEvent) => void): Listening {
    return listen(this.#events, listener);
  }

  onProgress(listener: (notice: ProgressNotice) => void): Listening {
    return listen(this.#progress, listener);
  }

  async call<Name extends MethodName>(method: Name, params: ParamsOf<Name>, signal?: AbortSignal): Promise<ResultOf<Name>> {
    const wire = this.#wire ?? (await this.#connected());
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `#meet` compared the protocol versions
    return (await wire.request(method, params, signal)) as ResultOf<Name>;
  }

  async start(): Promise<void> {
    if (this.#wire !== null) return;
    this.#mayStart = true;
    this.#failures = 0;
    if (this.#state.kind !== "connecting") this.#become({ kind: "connecting" });
    this.#wake.abort();
    await this.#connected();
  }

  reconnect(): void {
    this.#wire?.close();
  }

  languageLine(): LanguageLine | null {
    return this.#wire?.line ?? null;
  }

  close(): void {
    this.#closing.abort();
    this.#wake.abort();
    this.#wire?.close();
    this.#wire = null;
    this.#become({ kind: "idle" });
  }

  /** Resolves with the next connection. @throws RequestError as soon as it is known that there is none */
  async #connected(): Promise<Wire> {
    for (;;) {
      if (this.#wire !== null) return this.#wire;
      if (this.#state.kind !== "connecting") throw new RequestError(null, whyNot(this.#state));
      await new Promise<void>((resolve) => {
        const listening = this.onState(() => {
          listening.dispose();
          resolve();
        });
      });
    }
  }

  async #live(): Promise<void> {
    for (let looks = 0; !this.#closing.signal.aborted; looks++) {
      const met = await this.#attempt();
      if (met !== null) {
        looks = 0;
        await this.#stay(met);
        continue;
      }
      await this.#rest(this.#mayStart ? backOff(this.#failures, BACK_OFF_MS) : backOff(looks, LOOK_EVERY_MS));
    }
  }

  /** One attempt to be connected; null: not now, the state says why. */
  async #attempt(): Promise<Met | null> {
    try {
      const attached = await this.#attach();
      if (attached !== null) return attached;
      if (!this.#mayStart) {
        if (this.#state.kind === "connecting") this.#become({ kind: this.#lastSeq === null ? "idle" : "stopped" });
        return null;
      }
      if (this.#state.kind !== "connecting") this.#become({ kind: "connecting" });
      const launched = await launchService(this.#options);
      if (launched.kind === "failed") throw new RequestError(null, `The Satchel service did not start. ${launched.said}`);
      this.#options.log.info("the service was started");
      const started = await this.#attach("ours");
      if (started === null) throw new RequestError(null, "The Satchel service was started but does not answer yet.");
      return started;
    } catch (error) {
      this.#failures += 1;
      const message = error instanceof Error ? error.message : String(error);
      logTrouble(this.#options.log, "warn", "there is no service to talk with", error);
      if (this.#state.kind !== "outdated") this.#become({ kind: "failed", message });
      return null;
    }
  }

  /** null: no service runs. @throws RequestError when something else answers, or a service that can't be talked with */
  async #attach(whose: "anybodys" | "ours" = "anybodys"): Promise<Met | null> {
    const file = await readServiceFile(this.#options.places);
    if (file === null) return null;
    const wire = await Wire.open(file);
    if (wire === null || this.#closing.signal.aborted) {
      wire?.close();
      return null;
    }
    try {
      const hello = await this.#meet(wire, file);
      // What we have just started is as new as can be had, whatever it says: no service is replaced for ever.
      if (whose === "anybodys" && this.#isOlder(hello) && (await this.#askToLeave(wire, hello))) return null;
      return { wire, hello };
    } catch (error) {
      wire.terminate();
      throw error;
    }
  }

  /** The other side proves that it wrote service.json before it is told anything more. @throws RequestError */
  async #meet(wire: Wire, file: ServiceFile): Promise<Hello> {
    const nonce = randomBytes(24).toString("base64url");
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every protocol version answers a hello so
    const hello = (await wire.request("service/hello", { nonce, client: this.#options.client })) as Hello;
    const proof = createHmac("sha256", file.serviceKey).update(`satchel-hello:${nonce}`).digest("hex");
    if (hello.proof !== proof)
      throw new RequestError(null, `Something else than the Satchel service answers at ${file.socket}. Nothing was sent to it.`);
    if (hello.protocolVersion > PROTOCOL_VERSION) {
      const message = `Satchel ${hello.version} runs, which is newer than this window's ${this.#version}. Reload the window, or update the extension.`;
      this.#become({ kind: "outdated", message });
      throw new RequestError(null, message);
    }
    return hello;
  }

  #isOlder(hello: Hello): boolean {
    return hello.protocolVersion < PROTOCOL_VERSION || compareVersions(hello.version, this.#version) < 0;
  }

  /**
   * An older service makes room for ours: at once where we can't talk with it, else when no run is under way. True: it has ended.
   * What it was asked to do meanwhile stays asked: runs are ended between two steps.
   */
  async #askToLeave(wire: Wire, hello: Hello): Promise<boolean> {
    if (hello.protocolVersion === PROTOCOL_VERSION && (await isBusy(wire))) {
      void this.#leaveWhenIdle(wire, hello);
      return false;
    }
    this.#options.log.info(`Satchel ${hello.version} makes room for ${this.#version}`);
    await wire.request("service/shutdown", {});
    await wire.closed;
    const end = performance.now() + LEAVE_MS;
    // It frees its lock as its process ends; a start before that would only wait for it.
    while (processLives(hello.pid) && performance.now() < end) await sleep(LEAVE_LOOK_MS);
    this.#mayStart = true;
    return true;
  }

  async #leaveWhenIdle(wire: Wire, hello: Hello): Promise<void> {
    const onRunEnd = async () => {
      if (await isBusy(wire)) return;
      this.#options.log.info(`Satchel ${hello.version} makes room for ${this.#version}`);
      await wire.request("service/shutdown", {});
    };
    const listening = this.onEvent((event) => {
      // It went by itself: the next connection looks at its version again.
      if (event.kind === "run") void onRunEnd().catch(() => undefined);
    });
    await wire.closed;
    listening.dispose();
  }

  /** From the subscription to the end of the connection. */
  async #stay({ wire, hello }: Met): Promise<void> {
    wire.onNotice((notice) => this.#onNotice(notice));
    try {
      // A database that was built anew counts from the start again.
      const since = Math.min(this.#lastSeq ?? hello.lastSeq, hello.lastSeq);
      this.#lastSeq = since;
      await wire.request("events/subscribe", { since, progress: true });
      this.#wire = wire;
      this.#failures = 0;
      this.#mayStart = true;
      this.#become({ kind: "ready", hello });
    } catch (error) {
      logTrouble(this.#options.log, "warn", "the service went while it was subscribed to", error);
      wire.terminate();
    }
    const { code, reason } = await wire.closed;
    this.#wire = null;
    if (this.#closing.signal.aborted) return;
    this.#options.log.info(`the connection ended (${String(code)})`);
    if (reason !== "") this.#options.log.debug(`the connection ended: ${reason}`);
    const askedByUs = this.#isOlder(hello);
    if (code === GOING_AWAY && !askedByUs) this.#mayStart = false;
    this.#become({ kind: "connecting" });
  }

  #onNotice({ method, params }: Notice): void {
    if (method === "sync/progress") {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the service of this protocol version sends it
      for (const listener of this.#progress) listener(params as ProgressNotice);
      return;
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- likewise
    const event = params as StoredEvent;
    this.#lastSeq = event.seq;
    for (const listener of this.#events) listener(event);
  }

  #become(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#states) listener(state);
  }

  async #rest(mostMs: number): Promise<void> {
    const chance = this.#options.chance ?? Math.random;
    this.#wake = new AbortController();
    if (this.#closing.signal.aborted) return;
    // Half of it for certain, the rest by chance.
    const ms = mostMs / 2 + (chance() * mostMs) / 2;
    await sleep(ms, undefined, { signal: this.#wake.signal, ref: false }).catch(() => undefined);
  }
}

function listen<T>(listeners: Set<(value: T) => void>, listener: (value: T) => void): Listening {
  listeners.add(listener);
  return { dispose: () => listeners.delete(listener) };
}

function backOff(failures: number, { first, most }: { readonly first: number; readonly most: number }): number {
  return Math.min(most, first * 2 ** Math.min(failures, 16));
}

function whyNot(state: SessionState): string {
  switch (state.kind) {
    case "failed":
    case "outdated":
      return state.message;
    case "idle":
    case "stopped":
      return "The Satchel service does not run. Start it with the command “Satchel: Start Service”.";
    case "connecting":
    case "ready":
      return "The connection to the Satchel service ended.";
  }
}

async function isBusy(wire: Wire): Promise<boolean> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only asked of a service of our own protocol version
  const { folders } = (await wire.request("service/status", {})) as ResultOf<"service/status">;
  return folders.some(({ state }) => state === "syncing");
}

/** Of two program versions: below 0 when the first is older. What is no number counts as 0. */
function compareVersions(one: string, other: string): number {
  const parts = (version: string) => version.split(/[.+-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
  const [mine, theirs] = [parts(one), parts(other)];
  return [0, 1, 2].map((at) => (mine[at] ?? 0) - (theirs[at] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
