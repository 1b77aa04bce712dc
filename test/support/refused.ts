/** What a parser of the wire must do with bad input. */
import assert from "node:assert/strict";

import { WireError, type WireFault } from "../../protocol/anki/wire-error.ts";

/** The call must throw a WireError of this fault; gives its message. */
export function refused(fault: WireFault, call: () => unknown): string {
  let message = "";
  assert.throws(call, (error) => {
    assert.ok(error instanceof WireError, `not a WireError: ${String(error)}`);
    assert.equal(error.fault, fault, error.message);
    message = error.message;
    return true;
  });
  return message;
}
