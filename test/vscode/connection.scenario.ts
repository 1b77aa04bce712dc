import assert from "node:assert/strict";
import { test } from "node:test";

import { scenario } from "./scenario.ts";

scenario("the connection", {}, (world) => {
  test("EX a window that never used Satchel starts nothing, and says so in the status bar", async () => {
    const window = await world.window();
    await window.status().waitFor();
    await window.page.locator('.part.statusbar .statusbar-item[aria-label*="the service does not run"]').waitFor();
    await assert.rejects(world.servicePid(), /no service runs/);
    await window.shot("status-idle");
  });

  test("EX Start Service starts it, detached, and the status bar follows", async () => {
    const window = await world.window();
    await window.command("Satchel: Start Service");
    await window.page.locator('.part.statusbar .statusbar-item[aria-label="Satchel: no folder yet"]').waitFor();
    assert.ok((await world.servicePid()) > 0);
    await window.shot("status-ready");
  });

  test("EX the walkthrough leads through the first steps", async () => {
    const window = await world.window();
    await window.command("Welcome: Open Walkthrough...");
    await window.pick("Get Started with Satchel");
    await window.page.locator(".getting-started-step", { hasText: "Choose your media folder" }).first().waitFor();
    await window.shot("walkthrough");
  });
});

scenario(
  "behind a proxy that everything must go through",
  { settings: { "http.proxy": "http://127.0.0.1:9/", "http.proxySupport": "override" } },
  (world) => {
    test("EX the service is reached all the same", async () => {
      const window = await world.window();
      await window.command("Satchel: Start Service");
      await window.page.locator('.part.statusbar .statusbar-item[aria-label="Satchel: no folder yet"]').waitFor();
    });
  },
);
