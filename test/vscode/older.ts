/** A package of the extension as an older release would be: the same sources under a lower version and an older protocol, really built. */
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { PROTOCOL_VERSION, VERSION } from "../../protocol/version.ts";
import { runToEnd } from "../support/children.ts";
import { TOP } from "./editor.ts";

export const OLDER = { version: "0.0.1", protocolVersion: PROTOCOL_VERSION - 1 } as const;
const NEEDED = ["build.ts", "CHANGELOG.md", "LICENSE", "package.json", "tsconfig.json", "extension", "media", "protocol", "service"];

export type Package = { readonly file: string; remove(): Promise<void> };

/** @throws Error with what the build said */
export async function buildOlder(): Promise<Package> {
  const top = await mkdtemp(path.join(tmpdir(), "satchel-older-"));
  const remove = async (): Promise<void> => await rm(top, { recursive: true, force: true, maxRetries: 3 });
  try {
    for (const part of NEEDED) await cp(path.join(TOP, part), path.join(top, part), { recursive: true });
    await symlink(path.join(TOP, "node_modules"), path.join(top, "node_modules"));
    const versionFile = path.join(top, "protocol", "version.ts");
    const source = await readFile(versionFile, "utf8");
    const older = source
      .replace(`VERSION = "${VERSION}"`, `VERSION = "${OLDER.version}"`)
      .replace(`PROTOCOL_VERSION = ${String(PROTOCOL_VERSION)}`, `PROTOCOL_VERSION = ${String(OLDER.protocolVersion)}`);
    if (!older.includes(`"${OLDER.version}"`) || !older.includes(`= ${String(OLDER.protocolVersion)}`))
      throw new Error(`${versionFile} is not written as it was: no older package can be made of it`);
    await writeFile(versionFile, older);
    const packages = path.join(top, "packages");
    const target = `${process.platform}-${process.arch}`;
    const made = await runToEnd(process.execPath, ["build.ts", "package", "--directory", packages, target], { cwd: top });
    const [file] = made.code === 0 ? (await readdir(packages)).filter((name) => name.endsWith(".vsix")) : [];
    if (file === undefined) throw new Error(`could not make an older package: ${made.stdout}${made.stderr}`);
    return { file: path.join(packages, file), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
