/**
 * Signing in: three questions in one quick input. The password goes to the service once, which trades it for a key and forgets it; this editor remembers it
 * only where the user says so.
 */
import * as vscode from "vscode";

import { ErrorCode } from "../protocol/errors.ts";
import { logTrouble } from "./log-words.ts";
import type { Parts } from "./parts.ts";
import type { Account, Remembered } from "./remembered.ts";
import { sentenceOf } from "./sentences.ts";
import { RequestError } from "./session.ts";

const { l10n } = vscode;
const STEPS = 3;

type Answers = {
  url: string;
  user: string;
  password: string;
  /** The editor's secret storage is to hold the password. */
  remember: boolean;
  /** Whose password it is; null: no password was asked for yet. */
  account: Account | null;
};
type Key = "url" | "user" | "password";
type Question = {
  readonly key: Key;
  readonly title: string;
  readonly prompt: string;
  readonly placeholder: string;
  readonly secret: boolean;
  /** undefined: a good answer. */
  readonly judge: (answer: string) => string | undefined;
};

/** Asks, signs in, and says how it went. Resolves with the remote's id; undefined: the user went away. */
export async function signIn(parts: Parts): Promise<string | undefined> {
  const { session, board } = parts;
  await session.start();
  const [known] = board.remotes;
  const answers: Answers = { url: suggestedUrl(known?.url), user: known?.user ?? "", password: "", remember: false, account: null };
  const remote = await askInSteps(parts, answers);
  if (remote !== undefined) void vscode.window.showInformationMessage(l10n.t("Satchel: signed in as {0}.", remote));
  return remote;
}

/** Tries what was answered. */
async function attempt({ session, log, remembered }: Parts, answers: Answers): Promise<Outcome> {
  const { user, password, remember } = answers;
  const url = withScheme(answers.url);
  try {
    const { remote } = await session.call("remotes/login", { url, user, password });
    const settled = remember ? await remembered.keep({ url, user }, password) : await remembered.forget({ url, user });
    if (!settled) void vscode.window.showWarningMessage(storageTrouble(remember));
    return { done: remote };
  } catch (error) {
    logTrouble(log, "warn", "signing in failed", error);
    return failedAt(error);
  }
}

function storageTrouble(remember: boolean): string {
  return remember
    ? l10n.t("Satchel: you are signed in, but the editor's secret storage did not take the password, so it is not remembered.")
    : l10n.t("Satchel: you are signed in, but the editor's secret storage did not let go of the password that it remembers.");
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

type Outcome = { readonly done: string } | { readonly key: Key; readonly message: string };

/** At which question the user should try again. */
function failedAt(error: unknown): Outcome {
  const code = error instanceof RequestError ? error.code : null;
  const key = code === ErrorCode.Unreachable || code === ErrorCode.NotOurServer || code === ErrorCode.BadPath ? "url" : "password";
  return { key, message: sentenceOf(error) };
}

function rememberedPrompt(): string {
  return l10n.t("Password. It is traded for a key of this device, and this editor remembers it for the next sign-in.");
}

/** What is offered beside the answer: a step back, and to remember the password or not. */
function buttonsFor(step: number, question: Question, answers: Answers): readonly vscode.QuickInputButton[] {
  const back = step === 0 ? [] : [vscode.QuickInputButtons.Back];
  if (!question.secret) return back;
  return answers.remember
    ? [
        ...back,
        {
          iconPath: new vscode.ThemeIcon("check"),
          tooltip: l10n.t("The editor's secret storage will remember this password. Press to forget it."),
        },
      ]
    : [...back, { iconPath: new vscode.ThemeIcon("save"), tooltip: l10n.t("Remember this password in the editor's secret storage") }];
}

/** Fills in the password that the editor remembers for the account that was named; what was typed for another account goes. */
async function recall(remembered: Remembered, answers: Answers): Promise<void> {
  const account = { url: withScheme(answers.url), user: answers.user };
  const same = answers.account?.url === account.url && answers.account.user === account.user;
  if (same) return;
  answers.account = account;
  const kept = await remembered.password(account);
  answers.remember = kept !== undefined;
  answers.password = kept ?? "";
}

/** One input box that goes through the questions, back and forth; a failed attempt sends it back to one of them. */
async function askInSteps(parts: Parts, answers: Answers): Promise<string | undefined> {
  const asked = questions();
  const box = vscode.window.createInputBox();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  let step = 0;
  const show = (message?: string) => {
    const question = asked[step];
    if (question === undefined) return;
    box.title = question.title;
    box.step = step + 1;
    box.totalSteps = STEPS;
    box.prompt = question.secret && answers.remember ? rememberedPrompt() : question.prompt;
    box.placeholder = question.placeholder;
    box.password = question.secret;
    box.value = answers[question.key];
    box.buttons = buttonsFor(step, question, answers);
    box.validationMessage = message;
  };
  const waiting = async <T>(work: Promise<T>): Promise<T> => {
    box.busy = true;
    box.enabled = false;
    try {
      return await work;
    } finally {
      box.busy = false;
      box.enabled = true;
    }
  };
  const accept = async () => {
    const question = asked[step];
    if (question === undefined || box.busy) return;
    box.validationMessage = question.judge(box.value);
    if (box.validationMessage !== undefined) return;
    answers[question.key] = question.secret ? box.value : box.value.trim();
    step += 1;
    if (asked[step]?.secret === true) await waiting(recall(parts.remembered, answers));
    if (step < asked.length) return show();
    const outcome = await waiting(attempt(parts, answers));
    if ("done" in outcome) return resolve(outcome.done);
    step = asked.findIndex(({ key }) => key === outcome.key);
    show(outcome.message);
  };
  const press = (button: vscode.QuickInputButton) => {
    if (button === vscode.QuickInputButtons.Back) step -= 1;
    else {
      answers.password = box.value;
      answers.remember = !answers.remember;
    }
    show();
  };
  box.ignoreFocusOut = true;
  const listening = [
    box.onDidAccept(() => void accept()),
    box.onDidChangeValue(() => (box.validationMessage = undefined)),
    box.onDidTriggerButton(press),
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
