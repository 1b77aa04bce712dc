/** Why a remote can't be reached, in words with a next step. Facts come from probes; `causeOf` is the whole decision. */
import type { Answer, Health } from "../remotes/probe.ts";
import { failed, ok, warning, type Check } from "./doctor-check.ts";

export type RemoteProbes = {
  health(base: string): Promise<Health>;
  /** true: a request of so many bytes is refused for its size. */
  refusesBody(base: string, bytes: number): Promise<boolean>;
  readonly nowMs: () => number;
  /** Names of variables that tell of an HTTP proxy. */
  readonly proxyVariables: readonly string[];
};
export type Tested = { readonly ok: boolean; readonly detail: string; readonly roundTripMs: number };

/** A whole file, and what stands around it in a request. */
const LARGEST_BYTES = 101 * 1024 * 1024;
/** A batch of small files. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** Above this, certificates begin to fail and times on screens mislead. */
const CLOCK_APART_MS = 5 * 60_000;

/** `test`: one request with our key. Never rejects. */
export async function examineRemote(
  remote: { readonly id: string; readonly url: string; readonly signedIn: boolean },
  test: () => Promise<Tested>,
  probes: RemoteProbes,
): Promise<readonly Check[]> {
  const name = `remote ${remote.id}`;
  const health = await probes.health(remote.url);
  const clock = health.kind === "answer" ? clockCheck(remote.id, health, probes.nowMs()) : [];
  if (!remote.signedIn) return [failed(name, "Nobody is signed in.", "Sign in again: satchel login"), ...clock];
  const tested = await test().catch((error: unknown) => ({
    ok: false,
    detail: error instanceof Error ? error.message : String(error),
    roundTripMs: 0,
  }));
  if (!tested.ok) {
    const { detail, advice } = causeOf(health, remote.url, tested.detail, probes.proxyVariables);
    return [failed(name, detail, advice), ...clock];
  }
  return [ok(name, `${tested.detail}, ${tested.roundTripMs} ms`), ...(await limitCheck(remote, probes)), ...clock];
}

type Cause = { readonly detail: string; readonly advice: string };

/** What most likely is wrong at `base`. `detail`: what our own request met. */
export function causeOf(health: Health, base: string, detail: string, proxyVariables: readonly string[]): Cause {
  if (health.kind === "failed") return { detail: health.message, advice: adviceOf(health.fault, base, proxyVariables) };
  const { status, location, page } = health;
  if (location !== null && status >= 300 && status < 400) return redirected(base, location, status);
  if (status === 401 || status === 407)
    return {
      detail: `A proxy before the server wants a name and a password of its own (${status}).`,
      advice: "Sign in with them in the address: https://name:password@host/",
    };
  if ([502, 503, 504].includes(status))
    return {
      detail: `A proxy answers, the server behind it does not (${status}).`,
      advice: "Start the server, or look at the proxy's upstream address.",
    };
  if (page)
    return {
      detail: `A web page answers (${status}), not a sync server.`,
      advice: "Open a browser: does this network want you to sign in first? If not, another site lives at this address: check it.",
    };
  if (status === 404 || status === 405) return nobodyThere(base, status);
  if (status === 200)
    return { detail, advice: /403|password|key/.test(detail) ? "Sign in again: satchel login" : "See the server's own log." };
  return { detail: `${detail} (its health check answers ${status})`, advice: "See the server's own log." };
}

function redirected(base: string, location: string, status: number): Cause {
  const target = URL.canParse(location, base) ? new URL(location, base) : null;
  const source = new URL(base);
  if (target === null || target.hostname !== source.hostname)
    return {
      detail: `The address leads elsewhere (${status}): ${target === null ? "nowhere that makes sense" : target.host}.`,
      advice:
        "A network that wants you to sign in first does that (open a browser), or the server has moved: sign in with its new address.",
    };
  const to = new URL(target);
  to.pathname = to.pathname.replace(/health\/?$/, "");
  to.search = "";
  const why = target.protocol === source.protocol ? "The address leads on" : "The server wants https";
  return { detail: `${why} (${status}).`, advice: `Sign in with the address it leads to: satchel login ${to.href} --user NAME` };
}

function nobodyThere(base: string, status: number): Cause {
  const { pathname, origin } = new URL(base);
  const detail = `Something answers there, but no sync server (${status}).`;
  return pathname === "/"
    ? {
        detail,
        advice: `If the server stands under a path, it belongs to the address, with a slash at its end: satchel login ${origin}/PATH/ --user NAME`,
      }
    : { detail, advice: `Check the path ${pathname}: the proxy must pass it on without it, or the server stands at ${origin}/` };
}

function adviceOf(fault: Exclude<Health, Answer>["fault"], base: string, proxyVariables: readonly string[]): string {
  switch (fault) {
    case "tls":
      return "Mend the certificate. One of your own authority: start the service with NODE_EXTRA_CA_CERTS=FILE.";
    case "badReply":
      return `Check scheme and port of ${new URL(base).origin}/`;
    case "stall":
      return "A firewall or a very slow line: try from another network.";
    case "reset":
    case "tooLarge":
      return base.startsWith("http:")
        ? "Does the server speak https at this port? Then sign in with https://"
        : "Try again; if it stays so, see the server's log.";
    case "offline":
      return proxyVariables.length === 0
        ? "Check the address, whether the server runs, and this machine's network."
        : `Satchel goes straight there and uses no HTTP proxy, though ${proxyVariables.join(", ")} is set: the network must let it through.`;
  }
}

/** A proxy that takes small requests only makes large files fail, and nothing else. */
async function limitCheck(remote: { readonly id: string; readonly url: string }, probes: RemoteProbes): Promise<readonly Check[]> {
  if (!(await probes.refusesBody(remote.url, LARGEST_BYTES))) return [];
  const batches = await probes.refusesBody(remote.url, BATCH_BYTES);
  const what = batches ? `even a batch of small files (${BATCH_BYTES / 1024 ** 2} MiB)` : "a large file (100 MiB)";
  return [
    warning(
      `request size of ${remote.id}`,
      `A proxy before the server refuses ${what} for its size (413).`,
      "Its owner can raise the limit to 128 MiB: nginx client_max_body_size 128m, Caddy request_body max_size 128MB.",
    ),
  ];
}

function clockCheck(id: string, { dateMs }: Answer, nowMs: number): readonly Check[] {
  if (dateMs === null) return [];
  const apartMs = dateMs - nowMs;
  const minutes = Math.round(Math.abs(apartMs) / 60_000);
  if (Math.abs(apartMs) < CLOCK_APART_MS) return [ok(`clock against ${id}`, "agrees within 5 minutes")];
  return [
    warning(
      `clock against ${id}`,
      `This machine's clock is ${minutes} min ${apartMs > 0 ? "behind" : "ahead of"} the server's.`,
      "Set the one that is wrong: syncing does not depend on it, certificates and the times you see do.",
    ),
  ];
}
