/** What is compared: two byte strings of one file, and what can be done about them. */
import type { Bytes } from "./bytes.ts";

export type Fact = { readonly name: string; readonly value: string };

export type CompareHalf = {
  /** Whose bytes these are. */
  readonly label: string;
  /** null: nobody has them any more. */
  readonly bytes: Bytes | null;
  readonly facts: readonly Fact[];
};

export type Subject = {
  /** The same subject is shown in the same place; `conflict:3`, `version:…`. */
  readonly about: string;
  readonly title: string;
  /** In its folder: tells what kind of file it is. */
  readonly path: string;
  readonly left: CompareHalf;
  readonly right: CompareHalf;
  readonly actions: readonly {
    readonly id: string;
    readonly label: string;
    readonly hint: string;
    readonly act: () => Promise<void>;
  }[];
};
