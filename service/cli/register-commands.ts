/** `satchel service register|unregister`: the service starts with the user's session, by the platform's own means. */
import type { Command } from "commander";

import { Exit } from "./exit-codes.ts";
import { CliError, type Autostart, type AutostartPort } from "./host.ts";
import { ensureService, stopService } from "./running.ts";
import type { Tools } from "./tools.ts";

const NAMES = { systemd: "systemd user unit", launchd: "launchd agent", schtasks: "Task Scheduler task" } as const;

export function registerAutostart(service: Command, tools: Tools): void {
  service
    .command("register")
    .description("start the service with your session: systemd user unit, launchd agent or scheduled task")
    .option("--print", "only print what would be written")
    .option("--no-enable", "only write the file; say how to enable it")
    .action(tools.act(async (options: { print?: true; enable: boolean }) => await register(tools, options)));
  service
    .command("unregister")
    .description("do not start the service with your session any more")
    .action(tools.act(async () => await unregister(tools)));
}

async function register(tools: Tools, options: { print?: true; enable: boolean }): Promise<void> {
  const { io, host } = tools;
  const port = await host.autostart();
  const unit = needUnit(port);
  const { kind, file } = unit;
  if (options.print === true) {
    const text = textOf(unit);
    io.say(text.trimEnd());
    io.data({ kind, file, text });
    return;
  }
  port.write(unit);
  const commands = [...unit.reload, ...unit.enable];
  if (!options.enable) {
    io.data({ kind, file, enabled: false, commands });
    io.note(`The ${NAMES[kind]} is written: ${file}\nTo enable it:\n${listed(commands)}`);
    return;
  }
  await carryOut(port, unit, "reload");
  // One that was started by hand holds the lock: the system's own would end at once.
  const stopped = await stopService(tools);
  try {
    await carryOut(port, unit, "enable");
    const { pid } = await ensureService(tools, true);
    io.data({ kind, file, enabled: true, pid });
    io.note(`The service starts with your session from now on, and runs (process ${pid}).\nThe ${NAMES[kind]}: ${file}`);
    if (unit.hint !== null) io.note(unit.hint);
  } catch (error) {
    if (stopped) await ensureService(tools, true);
    throw error;
  }
}

async function unregister(tools: Tools): Promise<void> {
  const { io, host } = tools;
  const port = await host.autostart();
  const unit = needUnit(port);
  // Told to the system first: it looks the file up. One that was never enabled is no trouble.
  for (const command of unit.disable) await port.run(command);
  const removed = port.remove(unit);
  for (const command of unit.reload) await port.run(command);
  io.data({ kind: unit.kind, file: unit.file, removed });
  io.note(
    removed
      ? `The service does not start with your session any more. Whether it runs now: satchel service status`
      : `It was not registered: there is no ${unit.file}`,
  );
}

function needUnit({ unit }: AutostartPort): Autostart {
  if (unit !== null) return unit;
  throw new CliError(
    Exit.Usage,
    `Satchel knows no way to start with a session on ${process.platform}. Have your system run \`satchel service run\` at login.`,
  );
}

async function carryOut(port: AutostartPort, unit: Autostart, step: "reload" | "enable"): Promise<void> {
  const left = step === "reload" ? [...unit.reload, ...unit.enable] : [...unit.enable];
  for (const command of unit[step]) {
    const { code, said } = await port.run(command);
    if (code !== 0) {
      const why = code === null ? "it could not be started" : `it ended with ${code}`;
      throw new CliError(
        Exit.Fatal,
        `The ${NAMES[unit.kind]} is written (${unit.file}), but \`${command.join(" ")}\` failed: ${why}.\n${said.trim()}\nWhen that is mended:\n${listed(left)}`,
      );
    }
    left.shift();
  }
}

function textOf({ kind, bytes }: Autostart): string {
  return new TextDecoder(kind === "schtasks" ? "utf-16le" : "utf-8").decode(bytes);
}

function listed(commands: Autostart["reload"]): string {
  return commands.map((command) => `  ${command.map((word) => (/\s/.test(word) ? `"${word}"` : word)).join(" ")}`).join("\n");
}
