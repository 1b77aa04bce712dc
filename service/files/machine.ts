import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** No system tool of these takes longer. */
const TOOL_MS = 2000;

/** SHA-256 (hex) of what the operating system calls this machine, or null where it can't be told: a container, a locked-down system. */
export function machineHash(platform: NodeJS.Platform): string | null {
  const id = machineId(platform);
  return id === null || id === "" ? null : createHash("sha256").update(`satchel machine ${id}`).digest("hex");
}

function machineId(platform: NodeJS.Platform): string | null {
  if (platform === "darwin") {
    const told = output("/usr/sbin/ioreg", ["-rd1", "-c", "IOPlatformExpertDevice"]);
    return /"IOPlatformUUID"\s*=\s*"([^"]+)"/.exec(told ?? "")?.[1] ?? null;
  }
  if (platform === "win32") {
    const told = output("reg.exe", ["query", "HKLM\\SOFTWARE\\Microsoft\\Cryptography", "/v", "MachineGuid"]);
    return /MachineGuid\s+REG_SZ\s+(\S+)/.exec(told ?? "")?.[1] ?? null;
  }
  return content("/etc/machine-id") ?? content("/var/lib/dbus/machine-id");
}

/** Not to be told is an answer here: the caller then never concludes that the machine is another one. */
function output(command: string, args: readonly string[]): string | null {
  try {
    return execFileSync(command, args, { encoding: "utf8", timeout: TOOL_MS, windowsHide: true, stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return null;
  }
}

function content(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim() || null;
  } catch {
    return null;
  }
}
