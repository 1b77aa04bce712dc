/** What a scenario stands on: an editor with our extension, a browser, a home of its own for the service, a folder with notes and media. */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, suite, type TestContext } from "node:test";

import type { Browser } from "playwright-core";

import { until } from "../support/children.ts";
import { readServiceFile } from "../support/rpc.ts";
import { makeSatchel, type Satchel } from "../support/satchel.ts";
import { startSyncServer, type SyncServer } from "../support/sync-server.ts";
import { launchBrowser, startEditor, whyNotHere, type Editor, type EditorOptions } from "./editor.ts";
import { Workbench, type WindowOptions } from "./workbench.ts";

export type Scenario = {
  readonly editor: Editor;
  readonly browser: Browser;
  /** `SATCHEL_HOME` of the editor's service. */
  readonly home: string;
  /** The folder that windows open; `media/` in it is the media folder. */
  readonly workspace: string;
  readonly media: string;
  /** A sync server with the account `user1` (password: PASSWORD). */
  readonly server: SyncServer;
  /**
   * A window on the workspace. Without options it is the one that the test before used, put in order, as people keep a window open all day: to open
   * one takes longer than most tests. With options, after a test that failed, and as the second of a test, it is a new one.
   */
  window(options?: WindowOptions & { readonly folder?: string }): Promise<Workbench>;
  /** A file of the media folder is there. */
  has(file: string): boolean;
  /** Another device of the same account, made at its first mention: its service runs until the suite ends. */
  device(name: string): Promise<Device>;
  /** Process id of the service. @throws Error when none runs */
  servicePid(): Promise<number>;
};
/** Another device: a folder that its own service keeps in sync. */
export type Device = {
  readonly satchel: Satchel;
  has(file: string): boolean;
  /** null: it is not there. */
  read(file: string): Promise<string | null>;
};
export type ScenarioOptions = Omit<EditorOptions, "env" | "extensions"> & {
  /** Packages to install first, or what makes them; default: ours. */
  readonly extensions?: readonly string[] | (() => Promise<readonly string[]>);
  /** After everything else has ended. */
  readonly end?: () => Promise<void>;
  /** Files of the workspace by relative path. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
};

/**
 * A suite in one editor; the world is there when its tests run, and everything ends with it. Where no workbench can run, the suite is
 * skipped and says why.
 */
export function scenario(name: string, options: ScenarioOptions, define: (world: Scenario) => void): void {
  const reason = whyNotHere();
  suite(name, { skip: reason ?? false }, () => {
    const world = new World();
    before(async () => await world.open(options));
    afterEach(async (context) => await world.closeWindows(context));
    after(async () => {
      await world.close();
      await options.end?.();
    });
    define(world);
  });
}

class World implements Scenario {
  #top = "";
  #editor: Editor | null = null;
  #browser: Browser | null = null;
  #server: SyncServer | null = null;
  /** Of the test that runs. `plain`: opened without options. */
  readonly #windows: { readonly window: Workbench; readonly plain: boolean }[] = [];
  /** Left by a test that passed. */
  #kept: Workbench | null = null;
  readonly #devices = new Map<string, Device>();

  get editor(): Editor {
    return there(this.#editor);
  }
  get browser(): Browser {
    return there(this.#browser);
  }
  get server(): SyncServer {
    return there(this.#server);
  }
  get home(): string {
    return path.join(this.#top, "home");
  }
  get workspace(): string {
    return path.join(this.#top, "notes");
  }
  get media(): string {
    return path.join(this.workspace, "media");
  }

  async open({ extensions: given, ...options }: ScenarioOptions): Promise<void> {
    const extensions = typeof given === "function" ? await given() : given;
    this.#top = await realpath(await mkdtemp(path.join(tmpdir(), "satchel-scenario-")));
    await mkdir(this.media, { recursive: true });
    const files = { "index.md": "# Notes\n", ...options.files };
    for (const [file, content] of Object.entries(files)) {
      const target = path.join(this.workspace, file);
      await mkdir(path.dirname(target), { recursive: true });
      await writeFile(target, content);
    }
    [this.#server, this.#browser, this.#editor] = await Promise.all([
      startSyncServer({ kind: "satchel" }, 1),
      launchBrowser(),
      startEditor({ ...options, ...(extensions === undefined ? {} : { extensions }), env: { SATCHEL_HOME: this.home } }),
    ]);
  }

  async window(options?: WindowOptions & { readonly folder?: string }): Promise<Workbench> {
    const plain = options === undefined;
    const window = (plain ? await this.#keptInOrder() : null) ?? (await this.#newWindow(options));
    this.#windows.push({ window, plain });
    return window;
  }

  async #newWindow(options?: WindowOptions & { readonly folder?: string }): Promise<Workbench> {
    return await Workbench.open(this.browser, this.editor, options?.folder ?? this.workspace, options);
  }

  /** null: none was kept, or it can't be put in order. */
  async #keptInOrder(): Promise<Workbench | null> {
    const kept = this.#kept;
    this.#kept = null;
    try {
      await kept?.tidy();
      return kept;
    } catch (error) {
      process.stdout.write(`the window of the test before is closed, as it could not be put in order: ${String(error)}\n`);
      await kept?.close();
      return null;
    }
  }

  has(file: string): boolean {
    return existsSync(path.join(this.media, file));
  }

  async device(name: string): Promise<Device> {
    const known = this.#devices.get(name);
    if (known !== undefined) return known;
    const satchel = await makeSatchel();
    const device: Device = {
      satchel,
      has: (file) => existsSync(path.join(satchel.root, file)),
      read: async (file) => await readFile(path.join(satchel.root, file), "utf8").catch(() => null),
    };
    this.#devices.set(name, device);
    // All devices of a scenario are on one machine, whose name they would share.
    await mkdir(satchel.home, { recursive: true, mode: 0o700 });
    await writeFile(path.join(satchel.home, "device.json"), JSON.stringify({ version: 1, id: randomUUID(), name, machine: null }));
    await satchel.run();
    await satchel.join(this.server.url, "user1");
    return device;
  }

  async servicePid(): Promise<number> {
    const file = await readServiceFile(this.home);
    if (file === undefined) throw new Error(`no service runs in ${this.home}`);
    return file.pid;
  }

  /** After each test: its first window is kept for the next; where it failed, how its windows looked. */
  async closeWindows(context: unknown): Promise<void> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the runner's types call it a union with the suite's
    const { passed, name } = context as TestContext & { readonly passed: boolean };
    if (!passed) process.stdout.write(`${this.editor.said()}\n`);
    for (const [at, { window, plain }] of this.#windows.splice(0).entries()) {
      if (!passed) await window.shot(`failed-${name.replaceAll(/\W+/g, "-").slice(0, 60)}-${String(at)}`).catch(() => undefined);
      if (passed && plain && this.#kept === null) this.#kept = window;
      else await window.close().catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    await this.#editor?.close();
    for (const { satchel } of this.#devices.values()) await satchel.close();
    await this.#endService();
    await this.#server?.close();
    if (this.#top !== "") await rm(this.#top, { recursive: true, force: true, maxRetries: 3 });
  }

  /** It outlives the editor, as it should; here it must not. */
  async #endService(): Promise<void> {
    const pid = (await readServiceFile(this.home))?.pid;
    if (pid === undefined) return;
    const lives = () => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    if (lives()) process.kill(pid, "SIGTERM");
    await until(`the service ${String(pid)} is gone`, () => !lives());
  }
}

function there<T>(part: T | null): T {
  if (part === null) throw new Error("the scenario has not begun yet");
  return part;
}
