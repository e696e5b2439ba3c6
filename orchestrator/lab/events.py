"""The event log of one virtual host: what Windows writes about services, as records with a number and a message."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.lab import win32
from orchestrator.lab.fleet import LANGUAGES, RECOVERY_ACTIONS
from orchestrator.lab.service import Service

SCM = "Service Control Manager"
_ERROR, _WARNING, _INFORMATION = 2, 3, 4
_WORDS = {
    "running": ("running", "ausgeführt", "en cours d’exécution"),
    "stopped": ("stopped", "beendet", "arrêté"),
    "paused": ("paused", "angehalten", "suspendu"),
    "Automatic": ("auto start", "automatisch starten", "Démarrage automatique"),
    "AutomaticDelayed": ("auto start", "automatisch starten", "Démarrage automatique"),
    "Manual": ("demand start", "manuell starten", "Démarrage à la demande"),
    "Disabled": ("disabled", "deaktiviert", "Désactivé"),
    "Boot": ("boot start", "Systemstart", "Démarrage du système"),
    "System": ("system start", "Systemstart", "Démarrage du système"),
    "restart": ("Restart the service", "Den Dienst neu starten", "Redémarrer le service"),
    "reboot": ("Reboot the machine", "Computer neu starten", "Redémarrer l’ordinateur"),
    "run": ("Run the configured recovery program", "Wiederherstellungsprogramm ausführen", "Exécuter le programme"),
}
_MESSAGES: dict[int, tuple[str, str, str]] = {
    7036: (
        "The {0} service entered the {1} state.",
        'Dienst "{0}" befindet sich jetzt im Status "{1}".',
        "Le service {0} est entré dans l’état : {1}.",
    ),
    7040: (
        "The start type of the {0} service was changed from {1} to {2}.",
        'Der Starttyp des Diensts "{0}" wurde von "{1}" in "{2}" geändert.',
        "Le type de démarrage du service {0} est passé de {1} à {2}.",
    ),
    7000: (
        "The {0} service failed to start due to the following error: \n{1}",
        'Der Dienst "{0}" wurde aufgrund folgenden Fehlers nicht gestartet: \n{1}',
        "Le service {0} n’a pas pu démarrer en raison de l’erreur : \n{1}",
    ),
    7023: (
        "The {0} service terminated with the following error: \n{1}",
        'Der Dienst "{0}" wurde mit folgendem Fehler beendet: \n{1}',
        "Le service {0} s’est arrêté avec l’erreur : \n{1}",
    ),
    7024: (
        "The {0} service terminated with the following service-specific error: \n{1}",
        'Der Dienst "{0}" wurde mit folgendem dienstspezifischem Fehler beendet: \n{1}',
        "Le service {0} s’est arrêté avec l’erreur particulière : \n{1}",
    ),
    7031: (
        "The {0} service terminated unexpectedly.  It has done this {1} time(s).  The following corrective action will"
        " be taken in {2} milliseconds: {4}.",
        'Der Dienst "{0}" wurde unerwartet beendet. Dies ist bereits {1} Mal passiert. Folgende Korrekturmaßnahmen'
        " werden in {2} Millisekunden durchgeführt: {4}.",
        "Le service {0} s’est terminé de manière inattendue, ceci s’est produit {1} fois. L’action corrective suivante"
        " va être entreprise dans {2} millisecondes : {4}.",
    ),
    7034: (
        "The {0} service terminated unexpectedly.  It has done this {1} time(s).",
        'Der Dienst "{0}" wurde unerwartet beendet. Dies ist bereits {1} Mal vorgekommen.',
        "Le service {0} s’est terminé de façon inattendue. Ceci s’est produit {1} fois.",
    ),
    1000: (
        "Faulting application name: {0}, version: 1.0.0.0\nException code: 0xc0000005\nFaulting process id: {1}",
        "Name der fehlerhaften Anwendung: {0}, Version: 1.0.0.0\nAusnahmecode: 0xc0000005\nID des Prozesses: {1}",
        "Nom de l’application défaillante : {0}, version : 1.0.0.0\nCode d’exception : 0xc0000005\nID du processus"
        " défaillant : {1}",
    ),
    1074: (
        "The process {0} has initiated the restart of computer {1}.",
        "Der Prozess {0} hat den Neustart von Computer {1} eingeleitet.",
        "Le processus {0} a lancé le redémarrage de l’ordinateur {1}.",
    ),
    6005: (
        "The Event log service was started.",
        "Der Ereignisprotokolldienst wurde gestartet.",
        "Le service d’Enregistrement d’événement a démarré.",
    ),
}
_PROVIDERS = {1000: "Application Error", 1074: "User32", 6005: "EventLog"}
_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `at` is by the host's own clock; `data` are the texts that the message is made of."""

    number: int
    log: str
    provider: str
    id: int
    level: int
    at: float
    data: tuple[str, ...]
    message: str


@dataclass(slots=True)
class Events:
    """The logs `System` and `Application` of a host that speaks *language*, oldest first."""

    now: Callable[[], float]
    language: str
    records: list[Record] = field(default_factory=list)
    _number: int = 1000

    def add(self, id: int, *data: str, level: int = _INFORMATION, log: str = "System") -> None:
        """Write one record."""
        self._number += 1
        message = _MESSAGES[id][LANGUAGES.index(self.language)].format(*data)
        provider = _PROVIDERS.get(id, SCM)
        self.records.append(Record(self._number, log, provider, id, level, self.now(), data, message))
        del self.records[:-_KEPT]

    def state(self, service: Service, word: str) -> None:
        """A service came to run, or stopped."""
        self.add(7036, service.spec.display_name, self._say(word))

    def tell(self, service: Service, what: str, values: tuple[object, ...]) -> None:
        """What the service control manager says happened to *service*: see Tell."""
        name = service.spec.display_name
        match what, values:
            case "start type", (str(before), str(after)):
                self.add(7040, name, self._say(before), self._say(after), service.name)
            case "not started", (int(code),):
                self.add(7000, name, self._error(code), level=_ERROR)
            case "failed", (win32.SERVICE_SPECIFIC_ERROR,):
                self.add(7024, name, f"%%{service.service_exit_code}", level=_ERROR)
            case "failed", (int(code),):
                self.add(7023, name, self._error(code), level=_ERROR)
            case "died", (int(times), "", _):
                self.add(7034, name, str(times), level=_ERROR)
            case "died", (int(times), str(action), int(delay_ms)):
                number = RECOVERY_ACTIONS.index(action)
                self.add(7031, name, str(times), str(delay_ms), str(number), self._say(action), level=_ERROR)

    def crashed(self, image: str, pid: int) -> None:
        """A program fell over by itself."""
        self.add(1000, image, f"{pid:#x}", level=_ERROR, log="Application")

    def _say(self, word: str) -> str:
        return _WORDS[word][LANGUAGES.index(self.language)]

    def _error(self, code: int) -> str:
        return f"{win32.message(code, self.language)}."
