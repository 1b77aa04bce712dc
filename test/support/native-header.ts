/** What machine a native binary is for, as its own header says. */

export type NativeFor = {
  readonly system: "linux" | "darwin" | "win32";
  readonly arch: "x64" | "arm64";
  readonly libc: "glibc" | "musl" | null;
};

const MACHINES: Readonly<Record<string, NativeFor["arch"]>> = {
  "elf 62": "x64",
  "elf 183": "arm64",
  "mach 16777223": "x64",
  "mach 16777228": "arm64",
  "pe 34404": "x64",
  "pe 43620": "arm64",
};

/** It begins as a native binary does, for whatever machine. */
export function isNative(bytes: Buffer): boolean {
  return /^(?:7f454c46|cffaedfe|cefaedfe|cafebabe|4d5a)/.test(bytes.subarray(0, 4).toString("hex"));
}

/** @throws Error for what is no 64-bit ELF, Mach-O or PE file of a machine that we ship for, or one for several machines. */
export function nativeHeader(bytes: Buffer): NativeFor {
  const magic = bytes.subarray(0, 4).toString("hex");
  // Its version stands in the name that the loader is to bring (DT_NEEDED); musl's has none.
  if (magic === "7f454c46" && bytes[4] === 2)
    return { system: "linux", arch: archOf(`elf ${bytes.readUInt16LE(18)}`), libc: bytes.includes("libc.so.6\0") ? "glibc" : "musl" };
  if (magic === "cffaedfe") return { system: "darwin", arch: archOf(`mach ${bytes.readUInt32LE(4)}`), libc: null };
  const pe = magic.startsWith("4d5a") ? bytes.readUInt32LE(0x3c) : -1;
  if (pe >= 0 && bytes.subarray(pe, pe + 4).toString("latin1") === "PE\0\0")
    return { system: "win32", arch: archOf(`pe ${bytes.readUInt16LE(pe + 4)}`), libc: null };
  throw new Error(`no native binary that we know begins with ${magic}`);
}

function archOf(machine: string): NativeFor["arch"] {
  const arch = MACHINES[machine];
  if (arch === undefined) throw new Error(`a native binary for a machine that we do not ship for (${machine})`);
  return arch;
}
