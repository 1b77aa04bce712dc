/** The engine's settings, kept in the files that survive the database (DESIGN §11). */
import type { Config } from "../../protocol/config.ts";
import { loadSecrets, saveConfig, saveSecrets } from "../files/settings.ts";
import type { Settings } from "./deps.ts";

/** `directory`: of config.json and secrets.json. The copy in memory is what was last saved. @throws SettingsError */
export function fileSettings(directory: string, loaded: Config): Settings {
  let config = loaded;
  let secrets = loadSecrets(directory);
  const save = async (change: Partial<Config>): Promise<void> => {
    const next = { ...config, ...change };
    await Promise.resolve();
    saveConfig(directory, next);
    config = next;
  };
  return {
    folders: () => config.folders,
    remotes: () => config.remotes,
    saveFolders: async (folders) => await save({ folders: [...folders] }),
    saveRemotes: async (remotes) => await save({ remotes: [...remotes] }),
    key: (remote) => secrets.remotes[remote]?.key ?? null,
    saveKey: async (remote, key) => {
      const { [remote]: _old, ...others } = secrets.remotes;
      const next = { ...secrets, remotes: key === null ? others : { ...others, [remote]: { key } } };
      await Promise.resolve();
      saveSecrets(directory, next);
      secrets = next;
    },
  };
}
