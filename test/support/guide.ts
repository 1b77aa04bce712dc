import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const GUIDE = readFileSync(path.join(import.meta.dirname, "..", "..", "service", "server", "SELF-HOSTING.md"), "utf8");

/** The self-hosting guide's own text of one language. */
export function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(GUIDE)?.[1];
  assert.ok(found !== undefined, `the guide has no block of ${language}`);
  return found;
}

/** PEM files: the server's own certificate with what leads to its authority, and its key. */
export type Tls = { readonly chain: string; readonly key: string };
/** `port`: where it listens, on loopback. `target`: the sync server's port. `directory`: for all that it writes. `tls` null: plain HTTP. */
export type ProxyPlan = { readonly port: number; readonly target: number; readonly directory: string; readonly tls: Tls | null };
export type GuideProxy = { readonly name: "nginx" | "caddy"; readonly args: (plan: ProxyPlan) => readonly string[] };

/** Writes a configuration with the guide's own text; `args` are what the program is started with. */
export const PROXIES: readonly GuideProxy[] = [
  {
    name: "nginx",
    args({ port, target, directory, tls }) {
      const listening = block("nginx")
        .replace("listen 443 ssl;", `listen 127.0.0.1:${port}${tls === null ? "" : " ssl"};`)
        .replace("127.0.0.1:8080", `127.0.0.1:${target}`);
      const site =
        tls === null
          ? listening.replace(/^ *ssl_certificate.*$/gm, "")
          : listening.replace(/\/etc\/\S+fullchain\.pem/, tls.chain).replace(/\/etc\/\S+privkey\.pem/, tls.key);
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((what) => `${what}_temp_path ${directory}/${what};`)
        .join("\n");
      const conf = `daemon off; pid ${directory}/pid; error_log stderr; events {}\nhttp { access_log off; ${temporary}\n${site} }`;
      writeFileSync(path.join(directory, "nginx.conf"), conf);
      return ["-p", directory, "-c", path.join(directory, "nginx.conf")];
    },
  },
  {
    name: "caddy",
    args({ port, target, directory, tls }) {
      const own = tls === null ? "" : `\n\ttls ${tls.chain} ${tls.key}`;
      const site = block("caddy")
        .replace("sync.example.org {", `${tls === null ? "http://127.0.0.1" : "https://localhost"}:${port} {${own}`)
        .replace("127.0.0.1:8080", `127.0.0.1:${target}`);
      writeFileSync(path.join(directory, "Caddyfile"), `{\n\tadmin off\n\tauto_https off\n}\n${site}`);
      return ["run", "--config", path.join(directory, "Caddyfile"), "--adapter", "caddyfile"];
    },
  },
];
