import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** PEM files of an authority made for one test: a root, an intermediate that it signed, and `localhost`'s certificate that the intermediate signed. */
export type Authority = {
  readonly root: string;
  /** The leaf, then the intermediate, as a real authority hands them out. */
  readonly chain: string;
  /** The leaf alone: what a server sends whose owner forgot the rest. */
  readonly leaf: string;
  readonly key: string;
};

const LEAF = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
const INTERMEDIATE = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n";
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Writes them into `directory`, good for two days. @throws Error where there is no openssl */
export function makeAuthority(directory: string): Authority {
  const at = (name: string): string => path.join(directory, name);
  const openssl = (...args: readonly string[]): void => void execFileSync("openssl", args, { stdio: ["ignore", "ignore", "ignore"] });
  const sign = (name: string, by: string, extensions: string): void => {
    openssl("req", ...NEW_KEY, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`), "-subj", `/CN=Satchel test ${name}`);
    writeFileSync(at(`${name}.ext`), extensions);
    const signer = ["-CA", at(`${by}.pem`), "-CAkey", at(`${by}.key`), "-CAcreateserial"];
    openssl("x509", "-req", "-in", at(`${name}.csr`), ...signer, "-days", "2", "-extfile", at(`${name}.ext`), "-out", at(`${name}.pem`));
  };
  openssl("req", "-x509", ...NEW_KEY, "-keyout", at("root.key"), "-out", at("root.pem"), "-days", "2", "-subj", "/CN=Satchel test root");
  sign("intermediate", "root", INTERMEDIATE);
  sign("leaf", "intermediate", LEAF);
  writeFileSync(at("chain.pem"), [at("leaf.pem"), at("intermediate.pem")].map((file) => readFileSync(file, "utf8")).join(""));
  return { root: at("root.pem"), chain: at("chain.pem"), leaf: at("leaf.pem"), key: at("leaf.key") };
}
