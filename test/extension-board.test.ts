import assert from "node:assert/strict";
import { mock, test, type TestContext } from "node:test";

import { Board } from "../extension/board.ts";
import type { Session } from "../extension/session.ts";

/** A board over one folder, whose state the test sets; `pass` lets so many seconds go by, and the board be told. */
async function boardOver(context: TestContext, state: string) {
  const timers = mock.timers;
  timers.enable({ apis: ["setTimeout"] });
  const world = { state, asked: 0, event: (): void => assert.fail("nobody listens") };
  const nothing = { dispose: () => undefined };
  const session = {
    onState: () => nothing,
    onProgress: () => nothing,
    onEvent: (listener: () => void) => {
      world.event = listener;
      return nothing;
    },
    call: async () => {
      world.asked += 1;
      return await Promise.resolve({ folders: [{ folder: "f", state: world.state }], remotes: [] });
    },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the methods that are used
  const board = new Board(session as unknown as Session);
  context.after(() => {
    board.dispose();
    timers.reset();
  });
  await board.refresh();
  const pass = async (seconds: number): Promise<void> => {
    for (let at = 0; at < seconds; at++) {
      timers.tick(1000);
      // The answer, and what follows from it.
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
  };
  return { world, board, pass };
}

for (const state of ["syncing", "pending"])
  test(`Board a folder that was ${state} and then is in sync without an event is shown in sync`, async (t) => {
    const { world, board, pass } = await boardOver(t, state);
    assert.equal(board.folders[0]?.state, state);
    world.state = "insync";
    await pass(1);
    assert.equal(board.folders[0]?.state, "insync");
    world.asked = 0;
    await pass(600);
    assert.equal(world.asked, 0, "nothing is asked of a folder that is in sync");
  });

test("Board a folder that stays pending is asked about ever less often, and soon again after an event", async (t) => {
  const { world, pass } = await boardOver(t, "pending");
  await pass(600);
  assert.ok(world.asked >= 20 && world.asked <= 26, String(world.asked));
  world.asked = 0;
  world.event();
  await pass(4);
  assert.ok(world.asked >= 2, String(world.asked));
});
