import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { settingsInForce } from "../protocol/config.ts";
import { openLogs } from "../service/cli/log.ts";
import { openRotatingFile } from "../service/cli/rotating-file.ts";
import { SettingsError } from "../service/files/json-file.ts";
import { isLoose, withSecretFiles } from "../service/files/secret-files.ts";
import { metricsText } from "../service/rpc/metrics.ts";
import { newTally } from "../service/rpc/tally.ts";
import { folderStatus } from "./support/engine-double.ts";

let top = "";
before(() => {
  top = mkdtempSync(path.join(tmpdir(), "satchel-log-"));
});
after(() => rmSync(top, { recursive: true, force: true }));

suite("openRotatingFile()", () => {
  const read = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "(none)");

  test("moves a full file aside, keeps so many, loses no line on the way", () => {
    const file = path.join(top, "rotated.log");
    const log = openRotatingFile({ file, maxBytes: 10, keep: 2, unwrittenMaxBytes: 100 });
    for (const line of ["one-1\n", "two-2\n", "three\n", "four-4\n", "five\n"]) log.write(line);
    log.close();
    assert.deepEqual([file, `${file}.1`, `${file}.2`, `${file}.3`].map(read), ["five\n", "four-4\n", "three\n", "(none)"]);
    if (process.platform !== "win32") assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test("goes on with what an earlier process wrote", () => {
    const file = path.join(top, "again.log");
    writeFileSync(file, "before\n");
    const log = openRotatingFile({ file, maxBytes: 10, keep: 1, unwrittenMaxBytes: 100 });
    log.write("ab\n");
    log.write("cd\n");
    log.close();
    assert.deepEqual([read(file), read(`${file}.1`)], ["cd\n", "before\nab\n"]);
  });

  test("a line longer than the file may be stands alone, whole", () => {
    const file = path.join(top, "long.log");
    const log = openRotatingFile({ file, maxBytes: 4, keep: 1, unwrittenMaxBytes: 100 });
    log.write("much longer\n");
    log.write("b\n");
    log.close();
    assert.deepEqual([read(file), read(`${file}.1`)], ["b\n", "much longer\n"]);
  });

  test("what can't be written waits, the newest of it, and comes with the first line that can be", () => {
    const directory = path.join(top, "gone");
    mkdirSync(directory);
    const file = path.join(directory, "service.log");
    const log = openRotatingFile({ file, maxBytes: 6, keep: 1, unwrittenMaxBytes: 12 });
    log.write("first\n");
    // The next line needs a new file, and its directory is gone: every write fails.
    rmSync(directory, { recursive: true });
    for (const line of ["lost-1\n", "kept-2\n", "wait\n"]) log.write(line);
    mkdirSync(directory);
    log.write("now\n");
    log.close();
    const all = read(`${file}.1`) + read(file);
    assert.doesNotMatch(all, /lost-1/);
    assert.match(all, /kept-2\nwait\n(?:\(none\))?now\n$|wait\nnow\n$/);
  });
});

suite("openLogs()", () => {
  test("every component has its own level and says who it is; the rest have the common one", () => {
    const directory = path.join(top, "levels");
    const logs = openLogs(directory, "warn", "engine=debug,rpc=error");
    for (const log of [logs.service, logs.engine, logs.rpc]) {
      log.debug("debugged");
      log.warn("warned");
      log.error("failed");
    }
    process.removeAllListeners("uncaughtException");
    const lines = readFileSync(path.join(directory, "service.log"), "utf8").trim().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)).map(({ component, msg }) => `${component} ${msg}`),
      ["service warned", "service failed", "engine debugged", "engine warned", "engine failed", "rpc failed"],
    );
  });

  test("logLevels: what is no component or no level is refused by name", () => {
    assert.equal(settingsInForce({}, { SATCHEL_LOG_LEVELS: "engine=debug,rpc=warn" }).logLevels, "engine=debug,rpc=warn");
    for (const bad of ["engine", "engine=loud", "web=debug", "engine=debug rpc=warn"])
      assert.throws(() => settingsInForce({}, { SATCHEL_LOG_LEVELS: bad }), /logLevels \(SATCHEL_LOG_LEVELS\): must be like/, bad);
  });
});

suite("withSecretFiles()", () => {
  test("NAME_FILE is NAME with the file's text, one line end less; NAME itself wins; other variables are left alone", () => {
    const file = path.join(top, "secret");
    writeFileSync(file, "ada:se cret\n", { mode: 0o600 });
    const env = withSecretFiles({
      SYNC_USER1_FILE: file,
      SYNC_USER2_FILE: file,
      SYNC_USER2: "bob:own",
      OTHER_FILE: "/nowhere",
      SATCHEL_METRICS_TOKEN_FILE: "",
    });
    assert.deepEqual(
      [env["SYNC_USER1"], env["SYNC_USER2"], env["OTHER"], env["SATCHEL_METRICS_TOKEN"]],
      ["ada:se cret", "bob:own", undefined, undefined],
    );
  });
  test("AU13 a file that group or others may read is refused, with what to type", { skip: process.getuid === undefined }, () => {
    const file = path.join(top, "loose");
    writeFileSync(file, "ada:canary\n", { mode: 0o600 });
    for (const mode of [0o644, 0o640, 0o604, 0o620, 0o602]) {
      chmodSync(file, mode);
      assert.throws(
        () => withSecretFiles({ SYNC_USER1_FILE: file }),
        (error) =>
          error instanceof SettingsError &&
          error.fault === "unsafe" &&
          error.message.includes(`SYNC_USER1_FILE names: others may read or change ${file} (mode 0${mode.toString(8)})`) &&
          error.message.includes(`Run: chmod 600 '${file}'`) &&
          !error.message.includes("canary"),
      );
    }
    for (const mode of [0o600, 0o400]) {
      chmodSync(file, mode);
      assert.equal(withSecretFiles({ SYNC_USER1_FILE: file })["SYNC_USER1"], "ada:canary");
    }
  });
  test("AU13 root may hand its file to the group of a service that is not root; nobody else, and nothing more", () => {
    const stat = (uid: number, mode: number, file = true) => ({ uid, mode, isFile: () => file });
    const self = 1000;
    for (const mode of [0o400, 0o440, 0o640]) assert.equal(isLoose(stat(0, mode), self), false, mode.toString(8));
    for (const mode of [0o444, 0o644, 0o660]) assert.equal(isLoose(stat(0, mode), self), true, mode.toString(8));
    for (const uid of [self, 1001]) assert.equal(isLoose(stat(uid, 0o440), self), true, String(uid));
    assert.equal(isLoose(stat(0, 0o440), 0), true, "root needs no group");
    assert.equal(isLoose(stat(self, 0o620, false), self), false, "a terminal");
  });
  test("a file that can't be read is told with the variable's name", () => {
    assert.throws(() => withSecretFiles({ SATCHEL_PASSWORD_FILE: path.join(top, "absent") }), /SATCHEL_PASSWORD_FILE names.*Correct/s);
  });
});

suite("metricsText()", () => {
  test("folders by their id, what moved and how runs ended; no path, no name", async () => {
    const tally = newTally();
    const progress = {
      filesUp: 0,
      filesUpTotal: 0,
      bytesUp: 0,
      bytesUpTotal: 0,
      filesDown: 0,
      filesDownTotal: 0,
      bytesDown: 0,
      bytesDownTotal: 0,
    };
    tally.progress("r1", { ...progress, filesUp: 2, bytesUp: 20 });
    tally.progress("r1", { ...progress, filesUp: 3, bytesUp: 30, filesDown: 1, bytesDown: 5, bytesDownTotal: 0 });
    tally.progress("r2", { ...progress, filesUp: 1, bytesUp: 7 });
    for (const result of ["insync", "failed", "insync"]) tally.runEnded(result);
    const folders = [{ ...folderStatus("f1", "/home/ada/media"), state: "held" as const, held: 2, lastRunAt: 5000 }];
    const text = await metricsText({ folders, tally, uptimeMs: 61_000, connections: 3, residentBytes: 1e8 });
    for (const line of [
      "satchel_uptime_seconds 61",
      "satchel_connections 3",
      "satchel_resident_bytes 100000000",
      'satchel_runs_total{result="insync"} 2',
      'satchel_runs_total{result="failed"} 1',
      'satchel_files_moved_total{direction="up"} 4',
      'satchel_bytes_moved_total{direction="up"} 37',
      'satchel_bytes_moved_total{direction="down"} 5',
      'satchel_folder_state{folder="f1",state="held"} 1',
      'satchel_folder_state{folder="f1",state="insync"} 0',
      'satchel_folder_held{folder="f1"} 2',
      'satchel_folder_last_run_timestamp_seconds{folder="f1"} 5',
    ])
      assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
    assert.doesNotMatch(text, /ada|media/);
    assert.equal(
      text,
      await metricsText({ folders, tally, uptimeMs: 61_000, connections: 3, residentBytes: 1e8 }),
      "asking changes nothing",
    );
  });
});
