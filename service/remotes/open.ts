/** The one place that knows which kinds of remote there are. */
import type { Compute, Random, Remote, Transport } from "../core/ports.ts";
import { openAnkiRemote, type ClientName } from "./anki/client.ts";

export type RemoteSettings = {
  readonly kind: "anki";
  readonly url: string;
  /** Device key from `login`. */
  readonly key: string;
  readonly client: ClientName;
  /** Requests at once, instead of the kind's default. */
  readonly requestsInFlight?: number;
};
export type RemotePorts = { readonly transport: Transport; readonly compute: Compute; readonly random: Random };

/** Nothing is sent before the first call. @throws RemoteError `refused` for an address that can't be one. */
export function openRemote(settings: RemoteSettings, ports: RemotePorts): Remote {
  switch (settings.kind) {
    case "anki":
      return openAnkiRemote({ ...settings, ...ports });
  }
}
