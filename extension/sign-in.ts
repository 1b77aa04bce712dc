/** Signing in: three questions in one quick input. The password goes to the service once, which trades it for a key; nothing keeps it. */
import * as vscode from "vscode";

import { ErrorCode } from "../protocol/errors.ts";
import { logTrouble } from "./log-words.ts";
import type { Parts } from "./parts.ts";
import { sentenceOf } from "./sentences.ts";
import { RequestError } from "./session.ts";

const { l10n } = vscode;
const STEPS = 3;

type Answers = { url: string; user: string; password: string };
type Question = {
  readonly key: keyof Answers;
  readonly title: string;
  readonly prompt: string;
  readonly placeholder: string;
  readonly secret: boolean;
  /** undefined: a good answer. */
  readonly judge: (answer: string) => string | undefined;
};

/** Asks, signs in, and says how it went. Resolves with the remote's id; undefined: the user went away. */
export async function signIn({ session, board, log }: Parts): Promise<string | undefined> {
  await session.start();
  const answers: Answers = { url: suggestedUrl(board.remotes[0]?.url), user: board.remotes[0]?.user ?? "", password: "" };
  const remote = await askInSteps(questions(), answers, async () => {
    try {
      return { done: (await session.call("remotes/login", { ...answers, url: withScheme(answers.url) })).remote };
    } catch (error) {
      logTrouble(log, "warn", "signing in failed", error);
      return failedAt(error);
    }
  });
  if (remote !== undefined) void vscode.window.showInformationMessage(l10n.t("Satchel: signed in as {0}.", remote));
  return remote;
}

function suggestedUrl(known: string | undefined): string {
  const configured = vscode.workspace.getConfiguration("satchel").get("server.url", "");
  return configured === "" ? (known ?? "") : configured;
}

/** `notes.example.org` means https; a machine's own server is on plain HTTP. */
function withScheme(url: string): string {
  const text = url.trim();
  if (/^https?:\/\//i.test(text)) return text;
  return /^(?:localhost|127\.|\[::1\])/i.test(text) ? `http://${text}` : `https://${text}`;
}

function questions(): readonly Question[] {
  const wanted = l10n.t("Please fill this in.");
  return [
    {
      key: "url",
      title: l10n.t("Sign In: Server"),
      prompt: l10n.t("Address of the server: your own, or any that speaks Anki's sync protocol"),
      placeholder: "https://sync.example.org/",
      secret: false,
      judge: (answer) => (URL.canParse(withScheme(answer)) ? insecure(withScheme(answer)) : l10n.t("This is not an address.")),
    },
    {
      key: "user",
      title: l10n.t("Sign In: Account"),
      prompt: l10n.t("Name of your account there"),
      placeholder: l10n.t("Name"),
      secret: false,
      judge: (answer) => (answer.trim() === "" ? wanted : undefined),
    },
    {
      key: "password",
      title: l10n.t("Sign In: Password"),
      prompt: l10n.t("Password. It is traded for a key of this device and then forgotten."),
      placeholder: l10n.t("Password"),
      secret: true,
      judge: (answer) => (answer === "" ? wanted : undefined),
    },
  ];
}

/** Plain HTTP to another machine shows the password to whoever sits on the way. */
function insecure(url: string): string | undefined {
  const { protocol, hostname } = new URL(url);
  const near = hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
  return protocol === "http:" && !near
    ? l10n.t("This connection is not encrypted: use https://, or sign in with the command line if you must.")
    : undefined;
}

type Outcome = { readonly done: string } | { readonly key: keyof Answers; readonly message: string };

/** At which question the user should try again. */
function failedAt(error: unknown): Outcome {
  const code = error instanceof RequestError ? error.code : null;
  const key = code === ErrorCode.Unreachable || code === ErrorCode.NotOurServer || code === ErrorCode.BadPath ? "url" : "password";
  return { key, message: sentenceOf(error) };
}

/** One input box that goes through the questions, back and forth; `finish` may send it back to one of them. */
async function askInSteps(asked: readonly Question[], answers: Answers, finish: () => Promise<Outcome>): Promise<string | undefined> {
  const box = vscode.window.createInputBox();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let step = 0;
  const show = (message?: string) => {
    const question = asked[step];
    if (question === undefined) return;
    box.title = question.title;
    box.step = step + 1;
    box.totalSteps = STEPS;
    box.prompt = question.prompt;
    box.placeholder = question.placeholder;
    box.password = question.secret;
    box.value = answers[question.key];
    box.buttons = step === 0 ? [] : [vscode.QuickInputButtons.Back];
    box.validationMessage = message;
  };
  const accept = async () => {
    const question = asked[step];
    if (question === undefined || box.busy) return;
    box.validationMessage = question.judge(box.value);
    if (box.validationMessage !== undefined) return;
    answers[question.key] = question.secret ? box.value : box.value.trim();
    step += 1;
    if (step < asked.length) return show();
    box.busy = true;
    box.enabled = false;
    const outcome = await finish();
    box.busy = false;
    box.enabled = true;
    if ("done" in outcome) return resolve(outcome.done);
    step = asked.findIndex(({ key }) => key === outcome.key);
    show(outcome.message);
  };
  box.ignoreFocusOut = true;
  const listening = [
    box.onDidAccept(() => void accept()),
    box.onDidChangeValue(() => (box.validationMessage = undefined)),
    box.onDidTriggerButton(() => {
      step -= 1;
      show();
    }),
    box.onDidHide(() => resolve(undefined)),
  ];
  show();
  box.show();
  try {
    return await promise;
  } finally {
    answers.password = "";
    for (const one of listening) one.dispose();
    box.dispose();
  }
}
