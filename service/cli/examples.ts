/** Examples for every command's help, by the words that lead to it. A test reads them with the very command table. */
import type { Command } from "commander";

const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  start: ["satchel start ~/notes/media"],
  service: ["satchel service start", "satchel service register"],
  "service run": ["satchel service run --no-tcp"],
  "service start": ["satchel service start"],
  "service stop": ["satchel service stop"],
  "service status": ["satchel service status --json"],
  "service metrics": ["satchel service metrics > /var/lib/node_exporter/textfile/satchel.prom"],
  "service register": ["satchel service register", "satchel service register --print"],
  "service unregister": ["satchel service unregister"],
  add: ["satchel add ~/notes/media", "satchel add ~/notes/media --remote ada@sync.example.org --paused"],
  list: ["satchel list --json"],
  remove: ["satchel remove ~/notes/media"],
  login: [
    "satchel login https://sync.example.org/ --user ada",
    "satchel login https://sync.example.org/ --user ada --password-stdin < FILE",
  ],
  logout: ["satchel logout ada@sync.example.org"],
  pause: ["satchel pause ~/notes/media"],
  resume: ["satchel resume"],
  sync: ["satchel sync --wait", "satchel sync ~/notes/media --wait --json", "satchel sync --watch"],
  plan: ["satchel plan", "satchel plan ~/notes/media --json"],
  apply: ["satchel apply --plan HASH"],
  undo: ["satchel undo --preview", "satchel undo"],
  status: ["satchel status", "satchel status --json"],
  explain: ["satchel explain ~/notes/media/photo.png"],
  problems: ["satchel problems"],
  versions: ["satchel versions ~/notes/media/photo.png"],
  restore: ["satchel restore photo.png", "satchel restore photo.png --sha1 3f2a"],
  log: ["satchel log --limit 20", "satchel log --since 1200 --json"],
  events: ["satchel events --since 0 --json", "satchel events --follow"],
  conflicts: ["satchel conflicts", "satchel conflicts resolve 3 --keep mine"],
  "conflicts list": ["satchel conflicts list --all"],
  "conflicts show": ["satchel conflicts show 3"],
  "conflicts resolve": ["satchel conflicts resolve 3 --keep theirs", "satchel conflicts resolve --all --keep both"],
  guard: ["satchel guard", "satchel guard reject 7"],
  "guard list": ["satchel guard list"],
  "guard approve": ["satchel guard approve 7"],
  "guard reject": ["satchel guard reject 7 --hash HASH"],
  token: ["satchel token create backup-script --scope read", "satchel token revoke backup-script"],
  "token list": ["satchel token list --json"],
  "token create": ["satchel token create backup-script", "satchel token create editor --scope write"],
  "token revoke": ["satchel token revoke backup-script"],
  doctor: ["satchel doctor"],
  "support-bundle": ["satchel support-bundle", "satchel support-bundle --output ~/satchel.txt"],
  check: ["satchel check", "satchel check --notes ~/notes --json", "satchel check --notes ~/notes --remove-unused old.png"],
  lsp: ["satchel lsp --stdio"],
  completion: ["source <(satchel completion bash)", "satchel completion fish > ~/.config/fish/completions/satchel.fish"],
  rpc: ["satchel rpc folders/list", `satchel rpc sync/run '{"scan":false}'`],
  server: ["satchel server user add ada --base ~/sync", "satchel server run --base ~/sync"],
  "server run": [
    "satchel server run --base ~/sync",
    "satchel server run --base /srv/sync --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem",
    "satchel server run --base /srv/sync --behind-proxy",
  ],
  "server user": ["satchel server user list --base ~/sync"],
  "server user list": ["satchel server user list --base ~/sync"],
  "server user add": ["satchel server user add ada --base ~/sync"],
  "server user password": ["satchel server user password ada --base ~/sync"],
  "server user remove": ["satchel server user remove ada --base ~/sync"],
  "server user keys": ["satchel server user keys ada --base ~/sync"],
  "server user revoke": ["satchel server user revoke ada 0123456789ab --base ~/sync"],
  "server check": ["satchel server check --base ~/sync"],
  "server versions": ["satchel server versions ada photo.png --base ~/sync"],
  "server restore": ["satchel server restore ada photo.png --base ~/sync"],
  "server renew": ["satchel server renew --base ~/sync"],
};

/** What to do after an error of a command's arguments, where an example would not say it. */
const NEXT: Readonly<Record<string, string>> = {
  apply: "`satchel plan` shows what would be done, and prints the hash of exactly that: satchel apply --plan HASH",
};

/** Hangs the examples on the help of every command below `program`, and the way to that help on every error of its arguments. */
export function addExamples(program: Command): void {
  const below = (command: Command, words: string): void => {
    for (const child of command.commands) {
      const at = words === "" ? child.name() : `${words} ${child.name()}`;
      const lines = EXAMPLES[at] ?? [];
      child.showHelpAfterError(NEXT[at] ?? `For example: ${lines[0] ?? "satchel help"}\nAll about it: satchel ${at} --help`);
      if (lines.length > 0)
        child.addHelpText("after", `\n${lines.length === 1 ? "Example" : "Examples"}:\n${lines.map((line) => `  ${line}`).join("\n")}`);
      below(child, at);
    }
  };
  below(program, "");
}
