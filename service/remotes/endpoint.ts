/** Addresses of remotes: which are allowed, what the methods' URLs are, and the id a remote goes by (DESIGN §11). */
import { RemoteError } from "../core/ports.ts";

export type Endpoint = {
  /** Normalised base with a final slash; methods are joined to it. May carry `user:pass@`: never show it, show `shown`. */
  readonly base: string;
  /** The base for people and logs: without credentials. */
  readonly shown: string;
  /** Below ankiweb.net: one request at a time, rarer polls. */
  readonly ankiWeb: boolean;
  /** What the user probably did not mean, in a sentence; null: nothing odd. */
  readonly hint: string | null;
};

/**
 * Reads what a user typed as a server's address. The rules of joining are Anki's own (specs §2.1): without a final slash the last part of
 * the path is not used. @throws RemoteError `refused` for anything but http and https, and for link-local addresses (WS16).
 */
export function parseEndpoint(text: string): Endpoint {
  const url = parseUrl(text.trim());
  if (url === null) {
    throw new RemoteError("refused", `“${text}” is not the address of a server. Write it whole, for example http://127.0.0.1:8080/.`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new RemoteError("refused", `The address ${text} begins with ${url.protocol} – only http: and https: are understood.`);
  }
  if (isForbiddenHost(url.hostname)) {
    throw new RemoteError(
      "refused",
      `${url.hostname} is a link-local address, where cloud machines keep their secrets. Satchel does not talk to it: use the server's name or another address.`,
    );
  }
  const lost = /[^/]+$/.exec(url.pathname)?.[0];
  const base = new URL(".", url);
  base.pathname = base.pathname.replaceAll(/\/{2,}/g, "/");
  base.search = "";
  base.hash = "";
  const hint =
    lost === undefined
      ? null
      : `The address does not end with a slash, so its last part, “${lost}”, is not used (Anki joins addresses this way). If it belongs to the address, write ${shownUrl(url)}/.`;
  return { base: base.href, shown: shownUrl(base), ankiWeb: isAnkiWeb(base.hostname), hint };
}

/** URL of one method, for example `msync/begin` or `health`. */
export function methodUrl(base: string, method: string): string {
  return new URL(method, base).href;
}

/** The id a remote goes by: `user@host[:port][/path]`, the scheme's default port left out, readable by splitting at the last `@`. */
export function remoteIdOf(endpoint: Endpoint, user: string): string {
  const url = new URL(endpoint.base);
  const path = url.pathname.replace(/\/$/, "").replaceAll("@", "%40");
  return `${user}@${url.host}${path}`;
}

/** `host:port` for messages, also where the port is the scheme's own. */
export function hostAndPort(url: URL): string {
  return `${url.hostname}:${url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port}`;
}

/** The URL without user and password. */
export function shownUrl(url: URL): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  return shown.href;
}

/**
 * Where a redirect may lead with our key in the header: the same host (plain → TLS allowed, never back), or from AnkiWeb to AnkiWeb
 * over TLS. null: not there (NW03, WS16).
 */
export function redirectTarget(from: string, location: string): URL | null {
  const source = new URL(from);
  const target = URL.canParse(location, from) ? new URL(location, from) : null;
  if (target === null || isForbiddenHost(target.hostname)) return null;
  if (target.protocol !== "https:" && target.protocol !== source.protocol) return null;
  if (target.protocol !== "https:" && target.protocol !== "http:") return null;
  const upgraded = source.protocol === "http:" && target.protocol === "https:";
  // A TLS upgrade changes the port too: 8080 → 443 on the same machine is the ordinary case.
  const sameHost = target.hostname === source.hostname && (upgraded || target.port === source.port);
  const withinAnkiWeb = isAnkiWeb(source.hostname) && isAnkiWeb(target.hostname) && target.protocol === "https:";
  if (!sameHost && !withinAnkiWeb) return null;
  // Credentials of the address stand for the host they were typed with.
  target.username = sameHost ? source.username : "";
  target.password = sameHost ? source.password : "";
  target.hash = "";
  return target;
}

/** AnkiWeb and its shards. */
function isAnkiWeb(hostname: string): boolean {
  return hostname === "ankiweb.net" || hostname.endsWith(".ankiweb.net");
}

/** Names and addresses that lead to link-local services, most of all the metadata of cloud machines (WS16). */
export function isForbiddenHost(hostname: string): boolean {
  const host = hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
  if (host === "metadata.google.internal" || host === "metadata") return true;
  return isForbiddenAddress(host);
}

/** An IP address, without brackets, as resolved. */
export function isForbiddenAddress(address: string): boolean {
  const v4 = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? mappedV4(address);
  if (v4 !== undefined) return v4.startsWith("169.254.") || v4 === "100.100.100.200" || v4 === "168.63.129.16";
  return /^fe[89ab][0-9a-f]:/i.test(address) || /^fd00:ec2::(?:254|23)$/i.test(address);
}

/** `::ffff:a9fe:a9fe` as the URL parser writes a mapped address. */
function mappedV4(address: string): string | undefined {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(address);
  if (match === null) return undefined;
  const [high, low] = [Number.parseInt(match[1] ?? "", 16), Number.parseInt(match[2] ?? "", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function parseUrl(text: string): URL | null {
  // "computer.local:8000" parses as a scheme; Anki refuses it too.
  return URL.canParse(text) && /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? new URL(text) : null;
}
