/** A newer package installed over an older one whose service runs (specs/vscode.md §6): it takes over, nothing is lost, the windows follow. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { PROTOCOL_VERSION, VERSION } from "../../protocol/version.ts";
import { until } from "../support/children.ts";
import { Peer } from "../support/rpc-peer.ts";
import { readServiceFile } from "../support/rpc.ts";
import { VSIX } from "./editor.ts";
import { join } from "./joined.ts";
import { buildOlder, OLDER } from "./older.ts";
import { scenario } from "./scenario.ts";

const IN_SYNC = '.part.statusbar .statusbar-item[aria-label="Satchel: in sync"]';

let removeOlder = async (): Promise<void> => await Promise.resolve();
const extensions = async (): Promise<readonly string[]> => {
  const older = await buildOlder();
  removeOlder = async () => await older.remove();
  return [older.file];
};

scenario("an upgrade", { files: { "media/cat.txt": "cat" }, extensions, end: async () => await removeOlder() }, (world) => {
  /** Version and protocol of the service that runs. The command line's client would refuse an older one. */
  const runs = async (): Promise<readonly unknown[]> => {
    const file = await readServiceFile(world.home);
    assert.ok(file !== undefined, "a service runs");
    const peer = await Peer.unix(file.socket, file.token);
    const { result } = await peer.call("service/hello");
    await peer.close();
    assert.ok(typeof result === "object" && result !== null && "version" in result && "protocolVersion" in result);
    return [result.version, result.protocolVersion];
  };

  test("EX08 a newer package over an older one: its service takes over with folder, kept versions and log; older windows are told, and follow", async () => {
    // Set up once, then started by the older package alone.
    const home = await join(world);
    const other = await world.device("other");
    await until("the other device has it", () => other.has("cat.txt"));
    await home.cli(["service", "stop"]);
    const old = await world.window();
    await old.command("Satchel: Start Service");
    await old.page.locator(IN_SYNC).waitFor();
    assert.deepEqual(await runs(), [OLDER.version, OLDER.protocolVersion]);
    const oldPid = await world.servicePid();
    await writeFile(path.join(world.media, "before.txt"), "before the upgrade");
    await until("the older service syncs", () => other.has("before.txt"));
    await rm(path.join(other.satchel.root, "before.txt"));
    await until("and keeps what a deletion took", () => !world.has("before.txt"));

    await world.editor.install(VSIX);
    assert.equal(await world.servicePid(), oldPid, "an installation alone ends nothing");
    const fresh = await world.window();
    await fresh.page.locator(IN_SYNC).waitFor();
    await until("the newer service runs", async () => ((await readServiceFile(world.home))?.pid ?? oldPid) !== oldPid);
    assert.deepEqual(await runs(), [VERSION, PROTOCOL_VERSION]);
    await assert.rejects(async () => await Promise.resolve(process.kill(oldPid, 0)), "the older one has ended");

    // The older window can't talk with it any more, and says what to do.
    await old.page.locator('.part.statusbar .statusbar-item[aria-label*="Reload the window"]').waitFor();
    await old.shot("upgrade-older-window");
    await old.page.reload();
    await old.page.locator(IN_SYNC).waitFor();

    await writeFile(path.join(world.media, "after.txt"), "after the upgrade");
    await until("the newer service syncs", () => other.has("after.txt"));
    await fresh.command("Satchel: Bring Back a File That Is Gone");
    await fresh.pick("before.txt");
    await until("what the older service kept comes back", () => world.has("before.txt"));
    await fresh.shot("upgraded");
  });
});
