/**
 * The service starts with the user's session: the text of a systemd user unit, a launchd agent or a Task Scheduler task, where it goes and
 * which commands make the system take it. Nothing here runs a command; `writeAutostart` and `removeAutostart` touch the one file.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { SettingsError } from "./json-file.ts";

export type AutostartInput = {
  readonly platform: NodeJS.Platform;
  /** What is run: Node, the entry, and its arguments; absolute paths. */
  readonly command: readonly string[];
  /** What the service must find in its environment, beside what a session gives. */
  readonly env: Readonly<Record<string, string>>;
  readonly homeDir: string;
  /** `$XDG_CONFIG_HOME` where it is set. */
  readonly configHome: string | null;
  /** A directory of ours for what the system only reads once (Windows). */
  readonly stateDir: string;
  /** null on Windows. */
  readonly uid: number | null;
  /** `DOMAIN\user` on Windows. */
  readonly user: string;
};

export type Autostart = {
  readonly kind: "systemd" | "launchd" | "schtasks";
  readonly file: string;
  /** As it stands in the file. */
  readonly bytes: Uint8Array;
  /** Makes the system read the file; does not start anything. */
  readonly reload: readonly Command[];
  /** From now on, and at once. */
  readonly enable: readonly Command[];
  /** Not any more; what runs may be stopped by it. */
  readonly disable: readonly Command[];
  /** What a person should know, or null. */
  readonly hint: string | null;
};
/** Program and arguments, for no shell. */
export type Command = readonly [program: string, ...args: string[]];

const UNIT = "satchel.service";
const LABEL = "satchel.service";
const TASK = "Satchel";

/** null: this platform has none that we know. */
export function autostartOf(input: AutostartInput): Autostart | null {
  if (input.platform === "linux") return systemd(input);
  if (input.platform === "darwin") return launchd(input);
  return input.platform === "win32" ? schtasks(input) : null;
}

/** Durable enough for what can be written again: temp, rename. @throws SettingsError */
export function writeAutostart({ file, bytes }: Autostart): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(`${file}.tmp`, bytes, { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError("io", file, `Could not write ${file}: ${why}. Check its directory, then try again.`, { cause: error });
  }
}

/** false: there was none. @throws SettingsError */
export function removeAutostart({ file }: Autostart): boolean {
  try {
    rmSync(file);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError("io", file, `Could not remove ${file}: ${why}. Remove it by hand.`, { cause: error });
  }
}

/**
 * Hardened as far as a user manager can without namespaces. Left out on purpose: MemoryDenyWriteExecute (V8 compiles to memory),
 * PrivateTmp (the locks of media folders lie in the shared one), ProtectHome and ProtectSystem (media folders may be anywhere).
 */
function systemd(input: AutostartInput): Autostart {
  const { command, env, homeDir, configHome } = input;
  const lines = [
    "[Unit]",
    "Description=Satchel, media sync for your notes",
    "StartLimitIntervalSec=300",
    "StartLimitBurst=10",
    "",
    "[Service]",
    "Type=exec",
    // `$` begins a variable there and nowhere else.
    `ExecStart=${command.map((word) => systemdWord(word.replaceAll("$", "$$$$"))).join(" ")}`,
    ...Object.entries(env).map(([name, value]) => `Environment=${systemdWord(`${name}=${value}`)}`),
    "# A crash is mended by the next start; a stop that was asked for ends with 0 and stays one. 2: the settings need a person.",
    "Restart=on-failure",
    "RestartSec=2",
    "RestartPreventExitStatus=2",
    "# A run under way is ended between two steps.",
    "TimeoutStopSec=60",
    "Nice=5",
    "UMask=0077",
    "NoNewPrivileges=yes",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "RestrictNamespaces=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "",
    "[Install]",
    "WantedBy=default.target",
    "",
  ];
  return {
    kind: "systemd",
    file: path.posix.join(configHome ?? path.posix.join(homeDir, ".config"), "systemd", "user", UNIT),
    bytes: Buffer.from(lines.join("\n")),
    reload: [["systemctl", "--user", "daemon-reload"]],
    enable: [["systemctl", "--user", "enable", "--now", UNIT]],
    disable: [["systemctl", "--user", "disable", UNIT]],
    hint: "To have it run while you are not logged in, too: loginctl enable-linger",
  };
}

/** `%` begins a specifier; quotes and backslashes are C's. */
function systemdWord(word: string): string {
  const safe = word.replaceAll("%", "%%");
  return /^[\w@%+=:,./$-]+$/.test(safe) ? safe : `"${safe.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}

function launchd(input: AutostartInput): Autostart {
  const { command, env, homeDir, uid } = input;
  const strings = (words: readonly string[], pad: string): string => words.map((word) => `${pad}<string>${xml(word)}</string>`).join("\n");
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${strings(command, "    ")}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
${Object.entries(env)
  .map(([name, value]) => `    <key>${xml(name)}</key>\n    <string>${xml(value)}</string>`)
  .join("\n")}
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>Umask</key>
  <integer>63</integer>
</dict>
</plist>
`;
  const domain = `gui/${uid ?? 0}`;
  return {
    kind: "launchd",
    file: path.posix.join(homeDir, "Library", "LaunchAgents", `${LABEL}.plist`),
    bytes: Buffer.from(text),
    reload: [],
    enable: [["launchctl", "bootstrap", domain, path.posix.join(homeDir, "Library", "LaunchAgents", `${LABEL}.plist`)]],
    disable: [["launchctl", "bootout", `${domain}/${LABEL}`]],
    hint: null,
  };
}

/** The console host without a window runs it: Node alone would open a black one at every logon. UTF-16, as the scheduler wants it. */
function schtasks(input: AutostartInput): Autostart {
  const { command, env, stateDir, user } = input;
  const sets = Object.entries(env).map(([name, value]) => `set "${name}=${value}"&& `);
  const words = command.map(windowsWord).join(" ");
  // A task has no environment of its own: cmd sets it where there is any.
  const args = sets.length === 0 ? `--headless ${words}` : `--headless cmd.exe /d /s /c "${sets.join("")}${words}"`;
  const text = `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.4" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Satchel, media sync for your notes</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>${xml(user)}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>${xml(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>false</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <Hidden>true</Hidden>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%SystemRoot%\\System32\\conhost.exe</Command>
      <Arguments>${xml(args)}</Arguments>
    </Exec>
  </Actions>
</Task>
`;
  const file = path.win32.join(stateDir, "task.xml");
  return {
    kind: "schtasks",
    file,
    bytes: Buffer.from(`\uFEFF${text.replaceAll("\n", "\r\n")}`, "utf16le"),
    reload: [],
    enable: [
      ["schtasks", "/Create", "/TN", TASK, "/XML", file, "/F"],
      ["schtasks", "/Run", "/TN", TASK],
    ],
    disable: [["schtasks", "/Delete", "/TN", TASK, "/F"]],
    hint: null,
  };
}

/** The rules of CommandLineToArgvW: backslashes count only before a quote. */
function windowsWord(word: string): string {
  if (/^[\w@+=:,./\\-]+$/.test(word)) return word;
  return `"${word.replace(/(\\*)"/g, String.raw`$1$1\"`).replace(/(\\+)$/, "$1$1")}"`;
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
