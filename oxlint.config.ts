import path from "node:path";

import { defineConfig, type OxlintOverride } from "oxlint";

import { MAY_IMPORT } from "./borders.ts";

/** Packages that a place may never touch, whatever its rank. */
const BANNED: Readonly<Record<string, readonly string[]>> = {
  protocol: ["node:fs", "node:fs/**", "fs", "fs/**", "vscode"],
  "service/core": ["node:*", "node:*/**", "vscode"],
  "service/rpc": ["better-sqlite3"],
  "service/lsp": ["better-sqlite3"],
  "service/server": ["better-sqlite3"],
  "service/engine": ["better-sqlite3", "node:fs", "node:fs/**"],
};

/** The override that forbids every import out of `place` that the table does not list (deny all upward, then allow). */
function border(place: string, nested: boolean): OxlintOverride {
  const here = nested ? `${place}/x` : place.endsWith(".ts") ? path.posix.dirname(place) : place;
  const up = nested ? ["../../**", ...(place === "service/remotes" ? ["../*/**"] : [])] : ["../**"];
  const allowed = (MAY_IMPORT[place] ?? []).map(
    (to) => `!${path.posix.relative(here, to)}/${to === "service/remotes" && place !== "service/compose" ? "*.ts" : "**"}`,
  );
  const message = `${place} may import: ${(MAY_IMPORT[place] ?? []).join(", ") || "nothing but itself"}`;
  return {
    files: [nested ? `${place}/*/**` : place.endsWith(".ts") ? place : `${place}/*`],
    rules: {
      "no-restricted-imports": ["error", { patterns: [{ group: [...up, ...allowed, ...(BANNED[place] ?? [])], message }] }],
    },
  };
}

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "promise", "node"],
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: "error" },
  env: { builtin: true, node: true },
  ignorePatterns: ["node_modules/**", "dist/**", "media/**", "**/*.mjs"],
  categories: { correctness: "error", suspicious: "error" },
  rules: {
    "typescript/no-misused-promises": "error",
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: false }],
    "typescript/return-await": ["error", "always"],
    "typescript/only-throw-error": "error",
    "typescript/use-unknown-in-catch-callback-variable": "error",
    "typescript/prefer-promise-reject-errors": "error",
    "typescript/no-explicit-any": "error",
    "typescript/no-non-null-assertion": "error",
    "typescript/no-deprecated": "error",
    "typescript/no-namespace": "error",
    "typescript/consistent-type-imports": "error",
    "eslint/no-empty": "error",
    "eslint/max-lines": ["error", { max: 500 }],
    "eslint/max-lines-per-function": ["error", { max: 70 }],
    "import/no-default-export": "error",
    "import/no-cycle": "error",
    "import/no-commonjs": "error",
    "oxc/no-barrel-file": ["error", { threshold: 0 }],
    "typescript/consistent-return": "off",
    "unicorn/require-post-message-target-origin": "off",
    "unicorn/consistent-function-scoping": "off",
    "eslint/no-await-in-loop": "off",
  },
  overrides: [
    ...Object.keys(MAY_IMPORT).flatMap((place) =>
      place.endsWith(".ts") ? [border(place, false)] : [border(place, false), border(place, true)],
    ),
    {
      files: ["service/core/**"],
      rules: {
        "import/no-nodejs-modules": "error",
        "no-restricted-globals": [
          "error",
          {
            globals: [
              "Date",
              "performance",
              "crypto",
              "setTimeout",
              "setInterval",
              "setImmediate",
              "queueMicrotask",
              "process",
              "fetch",
            ].map((name) => ({ name, message: "core is handed its clock and chance." })),
            checkGlobalObject: true,
          },
        ],
        "no-restricted-properties": ["error", { object: "Math", property: "random", message: "core is handed its chance." }],
      },
    },
    {
      files: ["test/**"],
      rules: {
        "eslint/max-lines-per-function": "off",
        "no-restricted-imports": ["error", { patterns: [{ group: ["**/*.test.ts"], message: "tests never import tests." }] }],
        "typescript/no-floating-promises": [
          "error",
          { allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test", "it", "describe", "suite"] }] },
        ],
      },
    },
    { files: ["*.config.ts"], rules: { "import/no-default-export": "off" } },
  ],
});
