/** `satchel completion bash|zsh|fish`: scripts made of the very table of commands, so that they can't lag behind it. */
import { Argument, type Command, type Option } from "commander";

import type { Tools } from "./tools.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

export function registerCompletion(program: Command, tools: Tools): void {
  program
    .command("completion")
    .description("print a script that completes commands and options in your shell")
    .addArgument(new Argument("<shell>", "which one").choices(SHELLS))
    .action(
      tools.act(async (shell: Shell) => {
        const script = SCRIPTS[shell](nodesOf(program));
        tools.io.say(script.trimEnd());
        tools.io.data({ shell, script });
        await Promise.resolve();
      }),
    );
}

type Word = { readonly name: string; readonly description: string };
type Flag = Word & {
  /** Another word follows. */
  readonly value: boolean;
  readonly choices: readonly string[];
};
/** A command: the words that lead to it, each with a blank before it; what may follow. */
type Node = { readonly at: string; readonly subs: readonly Word[]; readonly flags: readonly Flag[]; readonly choices: readonly string[] };

function nodesOf(program: Command): readonly Node[] {
  const global = program.options.map(flagOf);
  const below = (command: Command, at: string): Node[] => {
    const shown = command.createHelp().visibleCommands(command);
    const own = command === program ? [] : command.options.map(flagOf);
    const node: Node = {
      at,
      subs: shown.map((child) => ({ name: child.name(), description: child.description() })),
      flags: [...own, ...global, { name: "--help", description: "show help", value: false, choices: [] }],
      choices: command.registeredArguments[0]?.argChoices ?? [],
    };
    return [node, ...shown.filter((child) => child.name() !== "help").flatMap((child) => below(child, `${at} ${child.name()}`))];
  };
  return below(program, "");
}

function flagOf(option: Option): Flag {
  return {
    name: option.long ?? option.flags,
    description: option.description,
    value: option.required || option.optional,
    choices: option.argChoices ?? [],
  };
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const patterns = (nodes: readonly Node[]): string =>
  nodes
    .slice(1)
    .map(({ at }) => quoted(at))
    .join("|");
/** Every option that takes a word, with where it stands. */
const valued = (nodes: readonly Node[]): readonly { readonly key: string; readonly flag: Flag }[] =>
  nodes.flatMap(({ at, flags }) => flags.filter(({ value }) => value).map((flag) => ({ key: `${at} ${flag.name}`, flag })));

const SCRIPTS: Readonly<Record<Shell, (nodes: readonly Node[]) => string>> = {
  bash: (nodes) => `# satchel completion for bash. Add to ~/.bashrc:  source <(satchel completion bash)
_satchel() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at= words= word IFS=$'\\n'
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
      ${patterns(nodes)}) at="$at $word" ;;
    esac
  done
  case "$at $prev" in
${valued(nodes)
  .map(({ key, flag }) => `    ${quoted(key)}) ${bashWords(flag.choices)} ;;`)
  .join("\n")}
  esac
  case "$at:$cur" in
${nodes.map((node) => `    ${quoted(`${node.at}:-`)}*) words=${quoted(node.flags.map(({ name }) => name).join(" "))} ;;\n    ${quoted(`${node.at}:`)}*) words=${quoted([...node.subs.map(({ name }) => name), ...node.choices].join(" "))} ;;`).join("\n")}
  esac
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "\${words// /$'\\n'}" -- "$cur")); else COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _satchel satchel
`,
  zsh: (nodes) => `#compdef satchel
# satchel completion for zsh. Add to ~/.zshrc, behind compinit:  source <(satchel completion zsh)
_satchel() {
  local at= word i
  local -a subs opts
  for (( i = 2; i < CURRENT; i++ )); do
    word=$words[i]
    case "$at $word" in
      (${patterns(nodes)}) at="$at $word" ;;
    esac
  done
  case "$at $words[CURRENT-1]" in
${valued(nodes)
  .map(
    ({ key, flag }) => `    (${quoted(key)}) ${flag.choices.length === 0 ? "_files" : `compadd -- ${flag.choices.join(" ")}`}; return ;;`,
  )
  .join("\n")}
  esac
  case "$at" in
${nodes.map((node) => `    (${quoted(node.at)}) subs=(${described([...node.subs, ...plain(node.choices)])}); opts=(${described(node.flags)}) ;;`).join("\n")}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    _describe -o option opts
  elif (( $#subs )); then
    _describe command subs
  else
    _files
  fi
}
compdef _satchel satchel
`,
  fish: (nodes) => `# satchel completion for fish. Save as ~/.config/fish/completions/satchel.fish
function __satchel_at
    set -l at ''
    for word in (commandline -opc)[2..]
        switch "$at $word"
            case ${nodes
              .slice(1)
              .map(({ at }) => fishWord(at))
              .join(" ")}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
${nodes.flatMap(fishLines).join("\n")}
`,
};

function bashWords(choices: readonly string[]): string {
  return choices.length === 0
    ? 'COMPREPLY=($(compgen -f -- "$cur")); return'
    : `words=${quoted(choices.join(" "))}; COMPREPLY=($(compgen -W "\${words// /$'\\n'}" -- "$cur")); return`;
}

function plain(choices: readonly string[]): readonly Word[] {
  return choices.map((name) => ({ name, description: "" }));
}

function described(words: readonly Word[]): string {
  return words.map(({ name, description }) => quoted(description === "" ? name : `${name}:${description}`)).join(" ");
}

function fishWord(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}

function fishLines({ at, subs, flags, choices }: Node): readonly string[] {
  const here = `complete -c satchel -n ${fishWord(`__satchel_at ${fishWord(at)}`)}`;
  return [
    ...[...subs, ...plain(choices)].map(({ name, description }) => `${here} -f -a ${name} -d ${fishWord(description)}`),
    ...flags.map(({ name, description, value, choices: some }) => {
      const takes = value ? (some.length === 0 ? " -r" : ` -x -a ${fishWord(some.join(" "))}`) : "";
      return `${here} -l ${name.replace(/^--/, "")}${takes} -d ${fishWord(description)}`;
    }),
  ];
}
