/** Planted bugs that prove the oracles (RELIABILITY 3.7). Each is a wrapper around a port or a store: the product knows nothing of them. */
import type { Mutation } from "./machine.ts";

const CANARIES: Readonly<Record<string, Mutation>> = {};

export function mutationOf(name: string | undefined): Mutation {
  if (name === undefined) return {};
  const found = CANARIES[name];
  if (found === undefined) throw new Error(`there is no canary ${name}`);
  return found;
}
