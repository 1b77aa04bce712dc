/** The service's sentences in German, by their words: for editors that ask for German. Errors say less than the English ones: no names, no sizes. */
import type { RunFault } from "../../protocol/run-faults.ts";
import type { LocalReason, RemoteReason } from "../core/model.ts";
import type { EngineError } from "../engine/errors.ts";

/** Why a run failed. */
export const RUN_FAULT: Readonly<Record<RunFault, string>> = {
  offline: "Der Server ist nicht erreichbar. Es wird von selbst wieder versucht.",
  retry: "Der Server ist überlastet oder gestört. Es wird von selbst wieder versucht.",
  auth: "Der Server nimmt den Schlüssel dieses Geräts nicht mehr an. Melde dich neu an.",
  changed: "Auf dem Server hat sich während des Abgleichs etwas geändert. Es wird von selbst wieder versucht.",
  refused: "Der Server hat die Anfrage abgelehnt. Warum, steht in seinem Protokoll.",
  notFound: "Der Server hat nicht, wonach gefragt wurde. Prüfe seine Adresse.",
  tooLarge: "Was übertragen werden sollte, ist größer als erlaubt. Erhöhe die Grenze des Servers oder verkleinere die Dateien.",
  notOurServer: "Unter dieser Adresse antwortet kein Sync-Server. Prüfe die Adresse.",
  protocol: "Die Antwort des Servers ist nicht zu verstehen. Prüfe seine Adresse und ob seine Version unterstützt wird.",
  quota: "Auf dem Server ist für dieses Konto kein Platz mehr. Schaffe dort Platz; es wird von selbst wieder versucht.",
  otherServer:
    "Es antwortet ein anderer Server als der, mit dem dieser Ordner abgeglichen wurde. Nichts wurde geändert. Beantworte die Frage von Satchel.",
  noRemote: "Der Medienordner hat noch keinen Server. Melde dich bei einem an.",
  rootMissing:
    "Der Medienordner ist nicht da: verschoben, gelöscht oder auf einem Datenträger, der nicht angeschlossen ist. Nichts wurde abgeglichen. Stelle den Ordner wieder her.",
  rootReplaced: "Wo der Medienordner war, steht ein anderer. Nichts wurde abgeglichen. Beantworte die Frage von Satchel.",
  markerGone:
    "Dateien aus dem Medienordner sind verschwunden; vielleicht ist ein Datenträger nicht angeschlossen. Nichts wurde abgeglichen. Schließe ihn an oder beantworte die Frage von Satchel.",
  unreadable: "Der Medienordner ist da und nicht lesbar. Nichts wurde abgeglichen. Prüfe die Rechte und den Datenträger.",
  notADirectory: "Der Medienordner ist kein lesbarer Ordner. Stelle ihn wieder her.",
  rootLocked: "Um diesen Ordner kümmert sich ein anderer Satchel-Dienst. Beende erst diesen.",
  nested:
    "In diesem Medienordner liegen Satchels eigene Dateien, oder er in ihnen. Nichts wird abgeglichen, bis eines von beiden woanders liegt.",
  disk: "Der Datenträger hat abgelehnt. Prüfe seine Rechte und seinen Zustand; es wird von selbst wieder versucht.",
  diskFull: "Auf diesem Datenträger ist kein Platz mehr. Nichts ging verloren. Schaffe Platz; es wird von selbst wieder versucht.",
  cancelled: "Der Abgleich wurde abgebrochen; was fertig war, bleibt.",
  internal:
    "Der Dienst ist auf einen eigenen Fehler gestoßen. Nichts ging verloren; es wird wieder versucht, und sein Protokoll sagt mehr.",
};

/** Why a file can't be synced. */
export const PROBLEM: Readonly<Record<LocalReason | RemoteReason, string>> = {
  empty: "Sie ist leer. Sie wird abgeglichen, sobald etwas darin steht.",
  tooLarge: "Sie ist größer, als der Server annimmt. Verkleinere sie oder hebe die Grenze des Servers an.",
  tooLargeThere: "Sie ist größer, als dieses Gerät annimmt. Sie bleibt auf dem Server.",
  unreadable: "Sie lässt sich nicht lesen. Prüfe die Zugriffsrechte.",
  symlink: "Sie ist eine Verknüpfung. Verknüpfungen werden nicht abgeglichen: Lege die Datei selbst dorthin.",
  special: "Das ist keine Datei, die sich abgleichen lässt (etwa ein Gerät oder eine Pipe).",
  badName: "Andere Systeme kennen diesen Namen nicht. Benenne die Datei um.",
  nameTooLong: "Der Name ist für andere Systeme zu lang. Benenne die Datei um.",
  locked: "Ein anderes Programm hält sie fest. Sie wird abgeglichen, sobald es sie freigibt.",
  unsettled: "Sie wird noch geschrieben. Sie wird abgeglichen, sobald sie ruht.",
  twin: "Eine andere Datei heißt bis auf Groß- und Kleinschreibung oder Akzente gleich. Benenne eine der beiden um.",
  reserved: "Diesen Namen behält sich Windows vor. Benenne die Datei um.",
  unsafeName: "Ihr Name auf dem Server führt aus dem Ordner hinaus. Benenne sie dort um.",
  secondName: "Auf dem Server stehen zwei Namen, die auf diesem Laufwerk einer sind. Benenne einen der beiden um.",
  refused: "Der Server hat sie abgelehnt.",
  missing: "Der Server führt sie auf, hat sie aber nicht. Ein anderes Gerät, das sie hat, kann sie noch einmal senden.",
  hashMismatch: "Sie kam beschädigt an und wurde nicht übernommen. Es wird noch einmal versucht.",
  diskFull: "Auf diesem Laufwerk ist kein Platz dafür. Schaffe Platz; dann wird sie geholt.",
  applyFailed: "Sie ließ sich nicht an ihren Platz bringen. Es wird noch einmal versucht.",
};

/** Why the service refused what was asked of it. */
export const REFUSAL: Readonly<Record<EngineError["fault"], string>> = {
  folderNotFound: "Um diesen Ordner kümmert sich Satchel nicht mehr.",
  folderPaused: "Der Ordner pausiert. Setze ihn erst fort.",
  noRemote: "Der Medienordner hat noch keinen Server. Melde dich zuerst bei einem an.",
  remoteNotFound: "Dieses Konto ist hier nicht bekannt. Melde dich neu an.",
  notADirectory: "An dieser Stelle ist kein lesbarer Ordner. Wähle einen anderen.",
  nested: "Der Ordner liegt in einem anderen Medienordner oder bei Satchels eigenen Dateien, oder enthält sie. Wähle einen anderen.",
  remoteTaken: "Mit diesem Konto wird schon ein anderer Ordner abgeglichen. Wähle ein anderes Konto.",
  rootLocked: "Um diesen Ordner kümmert sich ein anderer Satchel-Dienst. Beende erst diesen.",
  auth: "Der Server nimmt Namen, Passwort oder den Schlüssel dieses Geräts nicht an. Melde dich neu an.",
  unreachable: "Der Server ist nicht erreichbar. Prüfe Adresse und Netz und versuche es noch einmal.",
  notOurServer: "Unter dieser Adresse antwortet kein Sync-Server. Prüfe die Adresse.",
  conflictNotFound: "Dieser Konflikt ist schon gelöst.",
  holdChanged: "Die Frage hat sich inzwischen geändert; es wurde nichts getan. Sieh noch einmal nach und antworte dann.",
  holdNotFound: "Diese Frage ist schon beantwortet.",
  versionNotFound: "Diese Fassung ist nicht mehr aufbewahrt.",
  pathNotFound: "Der Dienst kennt keine solche Datei.",
  badPath: "Dieser Name geht hier nicht. Wähle einen anderen.",
  changedMeanwhile: "Die Datei wurde inzwischen geändert; es wurde nichts getan. Sieh noch einmal nach und entscheide dann.",
  nothingToUndo: "Es gibt nichts rückgängig zu machen.",
  planDrifted: "Inzwischen ist es anders; es wurde nichts getan. Sieh noch einmal nach und entscheide dann.",
  exists: "Das gibt es schon. Wähle einen anderen Namen.",
  disk: "Das Laufwerk hat sich verweigert. Sieh nach freiem Platz und Zugriffsrechten und versuche es noch einmal.",
  stopping: "Der Dienst wird gerade beendet. Versuche es gleich noch einmal.",
};
