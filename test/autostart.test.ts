import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import type { AutostartPort } from "../service/cli/host.ts";
import { autostartOf, removeAutostart, writeAutostart, type Autostart, type AutostartInput } from "../service/files/autostart.ts";
import { openCliDouble, type CliDouble } from "./support/cli-double.ts";
import { skipWithout } from "./support/optional.ts";
import { openTold } from "./support/told.ts";

const INPUT: AutostartInput = {
  platform: "linux",
  command: ["/opt/node 24/bin/node", "/home/ada/sat$chel/100%/main.ts", "service", "run", "--background"],
  env: { SATCHEL_HOME: '/home/ada/My "Notes" & <co>/100%' },
  homeDir: "/home/ada",
  configHome: null,
  stateDir: "/home/ada/.local/state/satchel",
  uid: 1000,
  user: "ada",
};

const told = openTold();
let top = "";
before(() => {
  top = mkdtempSync(path.join(tmpdir(), "satchel-autostart-"));
});
after(() => rmSync(top, { recursive: true, force: true }));

function made(change: Partial<AutostartInput>): Autostart {
  const unit = autostartOf({ ...INPUT, ...change });
  assert.ok(unit !== null);
  return unit;
}

const text = ({ bytes }: Autostart): string => Buffer.from(bytes).toString("utf8");

suite("autostartOf()", () => {
  test("systemd: the unit's text, with every odd character of a path quoted", () => {
    const unit = made({});
    assert.equal(unit.file, "/home/ada/.config/systemd/user/satchel.service");
    assert.equal(made({ configHome: "/cfg" }).file, "/cfg/systemd/user/satchel.service");
    const lines = text(unit).split("\n");
    assert.ok(lines.includes('ExecStart="/opt/node 24/bin/node" /home/ada/sat$$chel/100%%/main.ts service run --background'), text(unit));
    assert.ok(lines.includes(String.raw`Environment="SATCHEL_HOME=/home/ada/My \"Notes\" & <co>/100%%"`), text(unit));
    const hardening = [
      "NoNewPrivileges=yes",
      "RestrictNamespaces=yes",
      "RestrictSUIDSGID=yes",
      "RestrictRealtime=yes",
      "LockPersonality=yes",
      "SystemCallFilter=@system-service",
      "UMask=0077",
      "Restart=on-failure",
      "RestartPreventExitStatus=2",
      "WantedBy=default.target",
    ];
    for (const line of hardening) assert.ok(lines.includes(line), line);
    assert.doesNotMatch(text(unit), /^(?:MemoryDenyWriteExecute|PrivateTmp|ProtectHome)/m);
    assert.deepEqual(
      [unit.reload, unit.enable, unit.disable].map(([command]) => command?.slice(0, 3).join(" ")),
      ["systemctl --user daemon-reload", "systemctl --user enable", "systemctl --user disable"],
    );
  });

  test("systemd: systemd's own check finds nothing to say, and finds a mistake", (t) => {
    if (spawnSync("systemd-analyze", ["--version"]).status !== 0) return skipWithout(t, "systemd-analyze");
    const odd = made({ command: [process.execPath, path.join(top, 'a $b 100% "q".ts'), "service", "run"] });
    const verify = (name: string, contents: Uint8Array | string): string => {
      const file = path.join(top, name);
      writeFileSync(file, contents);
      const { status, stderr, stdout } = spawnSync("systemd-analyze", ["--user", "verify", file], {
        encoding: "utf8",
        env: { ...process.env, XDG_RUNTIME_DIR: top, HOME: top },
      });
      return `${status} ${stderr}${stdout}`.trim();
    };
    assert.equal(verify("satchel.service", odd.bytes), "0");
    assert.match(verify("broken.service", text(odd).replace("UMask=0077", "UMask=rw").replace("[Install]", "[Instal]")), /UMask|Instal/);
  });

  test("launchd: the agent's text is a property list with the same words", (t) => {
    const unit = made({ platform: "darwin" });
    assert.equal(unit.file, "/home/ada/Library/LaunchAgents/satchel.service.plist");
    assert.deepEqual(unit.enable, [["launchctl", "bootstrap", "gui/1000", unit.file]]);
    assert.deepEqual(unit.disable, [["launchctl", "bootout", "gui/1000/satchel.service"]]);
    assert.match(text(unit), /<key>RunAtLoad<\/key>\n {2}<true\/>/);
    assert.match(text(unit), /<key>SuccessfulExit<\/key>\n {4}<false\/>/);
    // Python's own reader of property lists is the judge.
    const script = "import plistlib, sys, json; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
    const { status, stdout, stderr } = spawnSync("python3", ["-c", script], { input: unit.bytes, encoding: "utf8" });
    if (status === null) return skipWithout(t, "python3");
    assert.equal(status, 0, stderr);
    const read = JSON.parse(stdout);
    assert.deepEqual(read.ProgramArguments, INPUT.command);
    assert.deepEqual(read.EnvironmentVariables, INPUT.env);
    assert.deepEqual([read.Umask, read.KeepAlive], [0o77, { SuccessfulExit: false }]);
  });

  test("Task Scheduler: UTF-16 with its mark, well-formed, the command without a window and never ended for its age", (t) => {
    const command = [String.raw`C:\Program Files\nodejs\node.exe`, String.raw`C:\Users\ada\sat&chel\main.mjs`, "service", "run"];
    const unit = made({ platform: "win32", command, env: {}, user: String.raw`DESK\ada`, stateDir: String.raw`C:\Users\ada\state` });
    assert.equal(unit.file, String.raw`C:\Users\ada\state\task.xml`);
    assert.deepEqual([...unit.bytes.subarray(0, 2)], [0xff, 0xfe]);
    const task = Buffer.from(unit.bytes).toString("utf16le").replaceAll("\r\n", "\n");
    assert.ok(
      task.includes(
        String.raw`<Arguments>--headless &quot;C:\Program Files\nodejs\node.exe&quot; &quot;C:\Users\ada\sat&amp;chel\main.mjs&quot; service run</Arguments>`,
      ),
      task,
    );
    assert.ok(task.includes(String.raw`<UserId>DESK\ada</UserId>`));
    for (const part of [
      "<ExecutionTimeLimit>PT0S<",
      "<RunLevel>LeastPrivilege<",
      "<MultipleInstancesPolicy>IgnoreNew<",
      "<DisallowStartIfOnBatteries>false<",
    ])
      assert.ok(task.includes(part), part);
    assert.deepEqual(unit.enable[0], ["schtasks", "/Create", "/TN", "Satchel", "/XML", unit.file, "/F"]);
    const script = "import sys, xml.dom.minidom as m; d = m.parseString(sys.stdin.buffer.read()); print(d.documentElement.tagName)";
    const { status, stdout } = spawnSync("python3", ["-c", script], { input: unit.bytes, encoding: "utf8" });
    if (status === null) return skipWithout(t, "python3");
    assert.equal(stdout.trim(), "Task");
  });

  test("Task Scheduler: an own home is set by cmd, and a backslash before a quote stays one", () => {
    const unit = made({ platform: "win32", command: ["node.exe", "D:\\a b\\"], env: { SATCHEL_HOME: "D:\\sat chel" } });
    const task = Buffer.from(unit.bytes).toString("utf16le");
    assert.ok(
      task.includes(String.raw`/c &quot;set &quot;SATCHEL_HOME=D:\sat chel&quot;&amp;&amp; node.exe &quot;D:\a b\\&quot;&quot;`),
      task,
    );
  });

  test("a platform without any: null", () => assert.equal(autostartOf({ ...INPUT, platform: "freebsd" }), null));

  test("writeAutostart() makes the directories, 0600; removeAutostart() tells whether there was one", () => {
    const unit = made({ homeDir: path.join(top, "home") });
    writeAutostart(unit);
    assert.equal(readFileSync(unit.file, "utf8"), text(unit));
    if (process.platform !== "win32") assert.equal(statSync(unit.file).mode & 0o777, 0o600);
    assert.equal(removeAutostart(unit), true);
    assert.equal(removeAutostart(unit), false);
  });
});

suite("service register", () => {
  let double: CliDouble;
  before(async () => {
    double = await openCliDouble();
  });
  after(async () => await double.close());

  /** The system's part, in memory: what was run, and what `answers` says of it. */
  function port(answers: (command: string) => number) {
    const ran: string[] = [];
    const unit = made({ homeDir: path.join(top, "registered") });
    const system: AutostartPort = {
      unit,
      write: writeAutostart,
      remove: removeAutostart,
      run: async (command) => {
        ran.push(command.join(" "));
        return await Promise.resolve({ code: answers(command.join(" ")), said: "Failed to connect to bus" });
      },
    };
    return { system, ran, unit };
  }

  test("--print writes nothing", async () => {
    const { system, unit, ran } = port(() => 0);
    const { code, stdout } = await double.satchel(["service", "register", "--print"], {
      host: { autostart: async () => await Promise.resolve(system) },
    });
    assert.deepEqual([code, stdout], [0, `${text(unit).trimEnd()}\n`]);
    assert.deepEqual([existsSync(unit.file), ran], [false, []]);
  });

  test("--no-enable writes and says how to go on; unregister takes it away", async () => {
    const { system, unit, ran } = port(() => 0);
    const { code, stderr } = await double.satchel(["service", "register", "--no-enable"], {
      host: { autostart: async () => await Promise.resolve(system) },
    });
    assert.equal(code, 0);
    assert.match(stderr, /systemctl --user daemon-reload\n {2}systemctl --user enable --now satchel\.service/);
    assert.deepEqual([existsSync(unit.file), ran], [true, []]);
    const host = { autostart: async () => await Promise.resolve(system) };
    const { stdout } = await double.satchel(["service", "register", "--no-enable", "--json"], { host });
    assert.deepEqual(told.read("service register", stdout), [
      {
        kind: "systemd",
        file: unit.file,
        enabled: false,
        commands: [
          ["systemctl", "--user", "daemon-reload"],
          ["systemctl", "--user", "enable", "--now", "satchel.service"],
        ],
      },
    ]);
    const removed = await double.satchel(["service", "unregister", "--json"], { host });
    assert.deepEqual(told.read("service unregister", removed.stdout), [{ kind: "systemd", file: unit.file, removed: true }]);
    assert.equal(existsSync(unit.file), false);
    assert.deepEqual(ran, ["systemctl --user disable satchel.service", "systemctl --user daemon-reload"]);
  });

  test("--json tells of the service that the system has started", async () => {
    const { system, unit } = port(() => 0);
    const { code, stdout } = await double.satchel(["service", "register", "--json"], {
      startsLater: true,
      host: { autostart: async () => await Promise.resolve(system) },
    });
    assert.equal(code, 0);
    assert.deepEqual(told.read("service register", stdout), [{ kind: "systemd", file: unit.file, enabled: true, pid: process.pid }]);
  });

  test("a system that refuses: exit 4, what failed, what is left to do; the service that ran is left alone", async () => {
    const { system, ran } = port(() => 1);
    const { code, stderr } = await double.satchel(["service", "register"], {
      host: { autostart: async () => await Promise.resolve(system) },
    });
    assert.equal(code, 4);
    assert.match(
      stderr,
      /daemon-reload` failed: it ended with 1\.\nFailed to connect to bus\nWhen that is mended:\n.*daemon-reload\n.*enable --now/,
    );
    assert.deepEqual(ran, ["systemctl --user daemon-reload"]);
    assert.equal((await double.satchel(["status"])).code, 0);
  });

  test("a platform without any: exit 2 and what to do", async () => {
    const { code, stderr } = await double.satchel(["service", "register"]);
    assert.equal(code, 2);
    assert.match(stderr, /satchel service run/);
  });
});
