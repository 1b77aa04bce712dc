/** What Node says when an exchange fails, in words for people. */
import { TransportError, type TransportFault } from "../core/ports.ts";
import { hostAndPort } from "./endpoint.ts";

const OFFLINE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing answers there; is the server running?",
  ENOTFOUND: "the name is not known; is it spelled right, is this machine online?",
  EAI_AGAIN: "the name could not be looked up; is this machine online?",
  EHOSTUNREACH: "no way leads to that machine; is it on, is this machine online?",
  EHOSTDOWN: "that machine is down.",
  ENETUNREACH: "this machine is not connected to that network.",
  ENETDOWN: "the network of this machine is down.",
  EADDRNOTAVAIL: "this machine has no address to call from; is it online?",
  ETIMEDOUT: "it did not answer; is it on, does a firewall stand between?",
  EACCES: "this system does not allow the connection (firewall?).",
  EPERM: "this system does not allow the connection (firewall?).",
};

const CLOCK = "Is the clock of this machine right?";
const TLS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: `its certificate has expired. ${CLOCK} If so, the server's owner has to renew it.`,
  CERT_NOT_YET_VALID: `its certificate is not valid yet. ${CLOCK}`,
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name. Check the address.",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "its certificate is self-signed, so nobody vouches for it. Give the server a certificate of a known authority, or name its own with NODE_EXTRA_CA_CERTS.",
  SELF_SIGNED_CERT_IN_CHAIN:
    "its certificate comes from an authority this machine does not know. If it is your own, name it with NODE_EXTRA_CA_CERTS; if not, somebody may be listening in.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate comes from an authority this machine does not know (the server may leave out the certificates in between).",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate comes from an authority this machine does not know.",
  CERT_REVOKED: "its certificate was revoked.",
};

/** Any failure of an exchange as a TransportError; one that is already is handed back. */
export function toTransportError(error: unknown, url: URL): TransportError {
  if (error instanceof TransportError) return error;
  const code = codeOf(error);
  const [fault, why] = classify(code, messageOf(error));
  return new TransportError(fault, `Could not talk to ${hostAndPort(url)}: ${why}`, { cause: error });
}

/** A connection that the peer had closed while it lay idle: nothing of the request was looked at. */
export function isStaleSocket(error: unknown): boolean {
  return ["ECONNRESET", "EPIPE", "ECONNABORTED"].includes(codeOf(error));
}

function classify(code: string, message: string): readonly [TransportFault, string] {
  const offline = OFFLINE[code];
  if (offline !== undefined) return ["offline", offline];
  const tls = TLS[code];
  if (tls !== undefined) return ["tls", tls];
  if (code === "EPROTO" || code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_")) {
    return ["tls", `no secure connection came about (${code}). Does the server speak https at this port?`];
  }
  if (code.startsWith("HPE_")) return ["badReply", `what answers is not HTTP, or damaged (${code}). Is it the right port?`];
  if (code === "ECONNRESET" || code === "EPIPE" || code === "ECONNABORTED") {
    return ["reset", "the connection broke before the whole answer was here."];
  }
  return ["reset", `the connection broke (${code === "" ? message : code}).`];
}

function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
