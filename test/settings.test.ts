import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";

import * as fc from "fast-check";

import { settingsInForce, type ServiceFile } from "../protocol/config.ts";
import { placesOf, type PlacesInput } from "../protocol/places.ts";
import { SettingsError, type SettingsFault } from "../service/files/json-file.ts";
import { machineHash } from "../service/files/machine.ts";
import { currentPlaces, makePlaces } from "../service/files/places.ts";
import {
  deviceName,
  loadConfig,
  loadDevice,
  loadSecrets,
  loadServiceFile,
  removeServiceFile,
  saveConfig,
  saveSecrets,
  saveServiceFile,
} from "../service/files/settings.ts";

const POSIX = { skip: process.platform === "win32" };
const MACHINE_A = "a".repeat(64);
const MACHINE_B = "b".repeat(64);

function directory(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), "satchel-settings-"));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** The error of `work`, which must be one of ours and name the file. */
function refusal(work: () => unknown, file: string): { fault: SettingsFault; message: string } {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    assert.equal(error.file, file);
    assert.ok(error.message.includes(file), error.message);
    return { fault: error.fault, message: error.message };
  }
  return assert.fail("nothing was refused");
}

// --- config.json, secrets.json, service.json -----------------------------------------------------------------------------------------

test("loadConfig() begins empty, and gives back what saveConfig() wrote, unknown keys included", (t) => {
  const home = directory(t);
  assert.deepEqual(loadConfig(home), { version: 1, settings: {}, folders: [], remotes: [] });
  const folder = { id: "f1", root: "/m", remote: "ada@host", policy: "keep-both", paused: false, colour: "red" } as const;
  const remote = { id: "ada@host", url: "https://host/", user: "ada", note: 1 };
  const config = { ...loadConfig(home), folders: [folder], remotes: [remote], later: { x: [1] }, settings: { tcpPort: 5, shiny: true } };
  saveConfig(home, config);
  assert.deepEqual(loadConfig(home), config);
  assert.deepEqual(readdirSync(home), ["config.json"]);
});

test("loadConfig() fills in what an older or hand-written file leaves out", (t) => {
  const home = directory(t);
  writeFileSync(path.join(home, "config.json"), '\uFEFF{"folders":[{"id":"f","root":"/m"}]}');
  const expected = { id: "f", root: "/m", remote: null, policy: "keep-both", paused: false };
  assert.deepEqual(loadConfig(home).folders, [expected]);
});

test("loadConfig() refuses a broken file with its name, the reason and what to do, and never overwrites it", (t) => {
  const home = directory(t);
  const file = path.join(home, "config.json");
  const table: readonly (readonly [text: string, fault: SettingsFault, says: RegExp])[] = [
    ["", "corrupt", /move it away/],
    ['{"folders":', "corrupt", /move it away/],
    ["[]", "corrupt", /object/],
    ['{"folders":[{"id":"../x","root":"/m"}]}', "corrupt", /folders\[0\]\.id/],
    ['{"folders":[{"id":"f","root":"/m","policy":"newest"}]}', "corrupt", /policy/],
    ['{"settings":{"versionsKeepDays":3}}', "corrupt", /versionsKeepDays/],
    ['{"remotes":[{"id":"a@b","url":"file:///etc","user":"a"}]}', "corrupt", /url/],
    ['{"version":2,"folders":{"new":"shape"}}', "future", /newer Satchel/],
  ];
  for (const [text, fault, says] of table) {
    writeFileSync(file, text);
    const found = refusal(() => loadConfig(home), file);
    assert.equal(found.fault, fault, text);
    assert.match(found.message, says, text);
    assert.equal(readFileSync(file, "utf8"), text);
  }
});

test("saveConfig() writes through a symlink to its target, as a dotfiles repository wants", POSIX, (t) => {
  const home = directory(t);
  const target = path.join(directory(t), "satchel.json");
  writeFileSync(target, "{}");
  symlinkSync(target, path.join(home, "config.json"));
  saveConfig(home, { ...loadConfig(home), settings: { tcp: false } });
  assert.equal(lstatSync(path.join(home, "config.json")).isSymbolicLink(), true);
  assert.equal(loadConfig(home).settings.tcp, false);
  assert.match(readFileSync(target, "utf8"), /"tcp": false/);
});

test(
  "saveConfig() that fails says so and leaves the old file and no other",
  { skip: process.platform === "win32" || process.getuid?.() === 0 },
  (t) => {
    const home = directory(t);
    saveConfig(home, loadConfig(home));
    const before = readFileSync(path.join(home, "config.json"), "utf8");
    chmodSync(home, 0o500);
    const found = refusal(() => saveConfig(home, { ...loadConfig(home), settings: { tcp: false } }), path.join(home, "config.json"));
    chmodSync(home, 0o700);
    assert.equal(found.fault, "io");
    assert.equal(readFileSync(path.join(home, "config.json"), "utf8"), before);
    assert.deepEqual(readdirSync(home), ["config.json"]);
  },
);

test("saveConfig() that can't rename leaves no temp behind", (t) => {
  const home = directory(t);
  mkdirSync(path.join(home, "config.json", "occupied"), { recursive: true });
  const config = { version: 1, settings: {}, folders: [], remotes: [] } as const;
  assert.equal(refusal(() => saveConfig(home, { ...config, folders: [], remotes: [] }), path.join(home, "config.json")).fault, "io");
  assert.deepEqual(readdirSync(home), ["config.json"]);
});

test("saveSecrets() X3 is 0600 whatever the umask; loose, foreign, linked or odd files are refused", POSIX, (t) => {
  const home = directory(t);
  const file = path.join(home, "secrets.json");
  const secrets = { version: 1, remotes: { "ada@host": { key: "k" } } } as const;
  saveSecrets(home, secrets);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(loadSecrets(home), secrets);
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(file, mode);
    const found = refusal(() => loadSecrets(home), file);
    assert.equal(found.fault, "unsafe");
    assert.match(found.message, /chmod 600/);
  }
  rmSync(file);
  writeFileSync(path.join(home, "elsewhere"), JSON.stringify(secrets), { mode: 0o600 });
  symlinkSync(path.join(home, "elsewhere"), file);
  assert.equal(refusal(() => loadSecrets(home), file).fault, "unsafe");
  saveSecrets(home, { version: 1, remotes: {} });
  assert.equal(lstatSync(file).isSymbolicLink(), false);
  assert.deepEqual(loadSecrets(home).remotes, {});
  rmSync(file);
  mkdirSync(file);
  assert.equal(refusal(() => loadSecrets(home), file).fault, "unsafe");
  rmSync(file, { recursive: true });
  execFileSync("/bin/sh", ["-c", 'mkfifo -m 600 "$0"', file]);
  assert.equal(refusal(() => loadSecrets(home), file).fault, "unsafe");
  rmSync(file);
  assert.deepEqual(loadSecrets(home), { version: 1, remotes: {} });
});

test("secrets.json: a remote called __proto__ is a key like any other", (t) => {
  const home = directory(t);
  writeFileSync(path.join(home, "secrets.json"), '{"remotes":{"__proto__":{"key":"k"},"a@b":{"key":"x"}}}', { mode: 0o600 });
  const { remotes } = loadSecrets(home);
  assert.equal(remotes["a@b"]?.key, "x");
  assert.equal(Object.getPrototypeOf(remotes), Object.prototype);
});

test("service.json is private, complete and gone after a clean stop", (t) => {
  const run = directory(t);
  assert.equal(loadServiceFile(run), null);
  const service: ServiceFile = {
    protocolVersion: 1,
    version: "0.1.0",
    pid: 42,
    socket: "/run/s.sock",
    port: null,
    token: "t".repeat(43),
    serviceKey: "k".repeat(43),
    startedAtMs: 5,
  };
  saveServiceFile(run, service);
  assert.deepEqual(loadServiceFile(run), service);
  if (process.platform !== "win32") assert.equal(statSync(path.join(run, "service.json")).mode & 0o777, 0o600);
  removeServiceFile(run);
  removeServiceFile(run);
  assert.equal(loadServiceFile(run), null);
});

test("service.json that a power cut left empty or half written tells of no service (it is written without fsync)", (t) => {
  const run = directory(t);
  for (const text of ["", '{ "protocolVersion": 7, "pid": 4', "\0\0\0\0"]) {
    writeFileSync(path.join(run, "service.json"), text, { mode: 0o600 });
    assert.equal(loadServiceFile(run), null);
  }
});

test("settingsInForce() environment over file over default; a bad value is refused by name", () => {
  const defaults = settingsInForce({}, {});
  assert.deepEqual([defaults.tcp, defaults.versionsMaxBytes, defaults.versionsKeepDays], [true, 2 * 1024 ** 3, 30]);
  const env = { SATCHEL_TCP: "false", SATCHEL_TCP_PORT: "8123", SATCHEL_ALLOWED_ORIGINS: "http://a, http://b", SATCHEL_LOG_LEVEL: "" };
  const found = settingsInForce({ tcpPort: 5, logLevel: "debug", shiny: 1 }, env);
  assert.deepEqual([found.tcp, found.tcpPort, found.allowedOrigins, found.logLevel], [false, 8123, ["http://a", "http://b"], "debug"]);
  assert.throws(() => settingsInForce({}, { SATCHEL_TCP_PORT: "99999" }), /tcpPort/);
  assert.throws(() => settingsInForce({}, { SATCHEL_VERSIONS_KEEP_DAYS: "7" }), /versionsKeepDays \(SATCHEL_VERSIONS_KEEP_DAYS\)/);
  assert.throws(() => settingsInForce({ versionsKeepDays: 7 }, {}), { name: "SettingError", message: /versionsKeepDays \(config\.json\)/ });
});

test("protocol/METHODS.md names every setting, and no other; README.md leads there", () => {
  const page = readFileSync(path.join(import.meta.dirname, "..", "protocol", "METHODS.md"), "utf8");
  const table = page.slice(page.indexOf("| setting"), page.indexOf("### folders in config.json"));
  const named = [...table.matchAll(/^\| `(\w+)` +\| `SATCHEL_/gm)].map(([, name]) => name);
  assert.deepEqual(new Set(named), new Set(Object.keys(settingsInForce({}, {}))));
  const readme = readFileSync(path.join(import.meta.dirname, "..", "README.md"), "utf8");
  assert.ok(readme.includes("(protocol/METHODS.md#settings)") && page.includes("\n## Settings\n"));
});

test("settingsInForce() WS01 an origin is told as browsers send it, or it would never be the one", () => {
  const origins = ["http://front.example", "https://[::1]:8443", "vscode-webview://abc"];
  assert.deepEqual(settingsInForce({ allowedOrigins: origins }, {}).allowedOrigins, origins);
  for (const wrong of ["null", "*", "front.example", "http://front.example/", "http://front.example/app", "http://a b", ""])
    assert.throws(() => settingsInForce({ allowedOrigins: [wrong] }, {}), {
      name: "SettingError",
      message: /allowedOrigins .*an origin as browsers send it/,
    });
});

// --- device.json ---------------------------------------------------------------------------------------------------------------------

test("loadDevice() is made once, stays, and becomes another one on another machine", (t) => {
  const home = directory(t);
  let made = 0;
  const on = (machine: string | null, hostName = "Ada's MacBook.local") =>
    loadDevice(home, { hostName, machine, newId: () => `id${++made}` });
  const first = on(MACHINE_A);
  assert.deepEqual(first, { device: { version: 1, id: "id1", name: "ada-s-macbook", machine: MACHINE_A }, origin: "new" });
  assert.deepEqual(on(MACHINE_A, "renamed"), { device: first.device, origin: "known" });
  assert.deepEqual(on(null), { device: first.device, origin: "known" });
  const clone = on(MACHINE_B, "desktop");
  assert.deepEqual(clone, { device: { version: 1, id: "id2", name: "desktop", machine: MACHINE_B }, origin: "cloned" });
  assert.deepEqual(on(MACHINE_B), { device: clone.device, origin: "known" });
});

test("loadDevice() learns a machine id that could not be told at first, and is then the same device", (t) => {
  const home = directory(t);
  const newId = (): string => "id1";
  loadDevice(home, { hostName: "x", machine: null, newId });
  const learnt = loadDevice(home, { hostName: "x", machine: MACHINE_A, newId: () => "never" });
  assert.deepEqual([learnt.origin, learnt.device.id, learnt.device.machine], ["known", "id1", MACHINE_A]);
  assert.equal(loadDevice(home, { hostName: "x", machine: MACHINE_B, newId: () => "id2" }).origin, "cloned");
});

test("deviceName() is always [a-z0-9-]{1,16} without a dash at either end", () => {
  const table = [
    ["laptop", "laptop"],
    ["LAPTOP-7F3K2.corp.example", "laptop-7f3k2"],
    ["Zoë's Rechner", "zoe-s-rechner"],
    ["a-very-long-host-name", "a-very-long-host"],
    ["fifteen-letters--x", "fifteen-letters"],
    ["日本", "device"],
    ["", "device"],
    [".local", "device"],
  ] as const;
  for (const [host, expected] of table) assert.equal(deviceName(host), expected, host);
  fc.assert(fc.property(fc.string({ unit: "binary" }), (host) => /^[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?$/.test(deviceName(host))));
});

test("machineHash() is a hash or nothing, and the same twice", () => {
  const hash = machineHash(process.platform);
  assert.ok(hash === null || /^[0-9a-f]{64}$/.test(hash));
  assert.equal(machineHash(process.platform), hash);
});

// --- Places --------------------------------------------------------------------------------------------------------------------------

const LINUX: PlacesInput = { platform: "linux", env: {}, homeDir: "/home/ada", tmpDir: "/tmp", cwd: "/work", uid: 1000 };

test("placesOf() follows each platform, and SATCHEL_HOME puts everything under one directory", () => {
  const mac = { ...LINUX, platform: "darwin", homeDir: "/Users/ada" } as const;
  const windows = { ...LINUX, platform: "win32", homeDir: "C:\\Users\\ada", cwd: "C:\\x", uid: null } as const;
  const table: readonly (readonly [input: PlacesInput, config: string, state: string, run: string])[] = [
    [LINUX, "/home/ada/.config/satchel", "/home/ada/.local/state/satchel", "/home/ada/.local/state/satchel/run"],
    [
      { ...LINUX, env: { XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s", XDG_RUNTIME_DIR: "/r" } },
      "/c/satchel",
      "/s/satchel",
      "/s/satchel/run",
    ],
    [
      { ...LINUX, env: { XDG_CONFIG_HOME: "relative", XDG_STATE_HOME: "" } },
      "/home/ada/.config/satchel",
      "/home/ada/.local/state/satchel",
      "/home/ada/.local/state/satchel/run",
    ],
    [{ ...LINUX, env: { SATCHEL_HOME: "/h/" } }, "/h/", "/h/state", "/h/state/run"],
    [{ ...LINUX, env: { SATCHEL_HOME: "sub" } }, "/work/sub", "/work/sub/state", "/work/sub/state/run"],
    [
      mac,
      "/Users/ada/Library/Application Support/Satchel",
      "/Users/ada/Library/Application Support/Satchel/state",
      "/Users/ada/Library/Application Support/Satchel/state/run",
    ],
    [
      { ...windows, env: { APPDATA: "C:\\R", LOCALAPPDATA: "C:\\L" } },
      "C:\\R\\Satchel",
      "C:\\L\\Satchel\\state",
      "C:\\L\\Satchel\\state\\run",
    ],
    [{ ...windows, env: { SATCHEL_HOME: "D:\\h" } }, "D:\\h", "D:\\h\\state", "D:\\h\\state\\run"],
  ];
  for (const [input, config, state, run] of table) {
    const places = placesOf(input);
    assert.deepEqual([places.config, places.state, places.run], [config, state, run]);
  }
  assert.throws(() => placesOf({ ...LINUX, homeDir: "" }), /SATCHEL_HOME/);
});

test("placesOf() gives a socket path of at most 100 bytes, counted in bytes, one per runtime directory", () => {
  const at = (home: string, over: Partial<PlacesInput> = {}) => placesOf({ ...LINUX, env: { SATCHEL_HOME: home }, ...over });
  const fits = at(`/${"x".repeat(100 - "//state/run/s.sock".length)}`);
  assert.equal(Buffer.byteLength(fits.socket), 100);
  assert.deepEqual([fits.socket, fits.socketDir], [`${fits.run}/s.sock`, null]);
  const long = at(`/${"x".repeat(100 - "//state/run/s.sock".length + 1)}`);
  assert.match(long.socket, /^\/tmp\/satchel-1000\/[0-9a-f]{16}\.sock$/);
  assert.equal(long.socketDir, "/tmp/satchel-1000");
  const umlauts = at(`/${"ü".repeat(60)}`);
  assert.equal(umlauts.socketDir, "/tmp/satchel-1000");
  assert.notEqual(umlauts.socket, long.socket);
  assert.throws(() => at(`/${"x".repeat(200)}`, { tmpDir: `/${"t".repeat(90)}` }), /TMPDIR/);
  const pipe = at("D:\\H", { platform: "win32", uid: null });
  assert.match(pipe.socket, /^\\\\\.\\pipe\\satchel-[0-9a-f]{16}$/);
  assert.equal(at("d:\\h", { platform: "win32", uid: null }).socket, pipe.socket);
});

test("makePlaces() makes private directories, closes loose ones of ours, and refuses what is not a directory", POSIX, (t) => {
  const base = directory(t);
  const places = currentPlaces({ SATCHEL_HOME: "home" }, base);
  assert.equal(places.config, path.join(base, "home"));
  makePlaces(places);
  const modes = (): number[] => [places.config, places.state, places.run].map((each) => statSync(each).mode & 0o777);
  assert.deepEqual(modes(), [0o700, 0o700, 0o700]);
  chmodSync(places.run, 0o755);
  makePlaces(places);
  assert.deepEqual(modes(), [0o700, 0o700, 0o700]);
  rmSync(places.run, { recursive: true });
  symlinkSync(base, places.run);
  assert.equal(refusal(() => makePlaces(places), places.run).fault, "unsafe");
  rmSync(places.run);
  writeFileSync(places.run, "");
  assert.equal(refusal(() => makePlaces(places), places.run).fault, "io");
});

test("makePlaces() X3 refuses a symlink where the socket's directory in a shared /tmp should be", POSIX, (t) => {
  const base = directory(t);
  const trap = path.join(base, "satchel-1");
  symlinkSync(base, trap);
  const places = { ...currentPlaces({ SATCHEL_HOME: "home" }, base), socket: path.join(trap, "s.sock"), socketDir: trap };
  assert.equal(refusal(() => makePlaces(places), trap).fault, "unsafe");
});
