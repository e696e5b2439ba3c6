"""Windows' own error numbers for services and what they say in English, German and French."""

ACCESS_DENIED = 5
INVALID_PARAMETER = 87
DEPENDENT_SERVICES_RUNNING = 1051
INVALID_SERVICE_CONTROL = 1052
SERVICE_ALREADY_RUNNING = 1056
SERVICE_DISABLED = 1058
SERVICE_DOES_NOT_EXIST = 1060
SERVICE_CANNOT_ACCEPT_CTRL = 1061
SERVICE_NOT_ACTIVE = 1062
SERVICE_SPECIFIC_ERROR = 1066
PROCESS_ABORTED = 1067
SERVICE_DEPENDENCY_FAIL = 1068
SERVICE_NEVER_STARTED = 1077

_TEXTS: dict[int, tuple[str, str, str]] = {
    2: (
        "The system cannot find the file specified",
        "Das System kann die angegebene Datei nicht finden",
        "Le fichier spécifié est introuvable",
    ),
    5: ("Access is denied", "Zugriff verweigert", "Accès refusé"),
    87: ("The parameter is incorrect", "Falscher Parameter", "Paramètre incorrect"),
    1051: (
        "A stop control has been sent to a service that other running services are dependent on",
        "Ein Befehl zum Anhalten wurde einem Dienst gesendet, von dem andere ausgeführte Dienste abhängig sind",
        "Un contrôle d’arrêt a été envoyé à un service dont d’autres services en cours d’exécution dépendent",
    ),
    1052: (
        "The requested control is not valid for this service",
        "Der angeforderte Steuerbefehl ist für diesen Dienst nicht gültig",
        "Le contrôle demandé n’est pas valide pour ce service",
    ),
    1053: (
        "The service did not respond to the start or control request in a timely fashion",
        "Der Dienst antwortete nicht rechtzeitig auf die Start- oder Steuerungsanforderung",
        "Le service n’a pas répondu assez vite à la demande de lancement ou de contrôle",
    ),
    1056: (
        "An instance of the service is already running",
        "Es wird bereits eine Instanz des Dienstes ausgeführt",
        "Une instance du service s’exécute déjà",
    ),
    1058: (
        "The service cannot be started, either because it is disabled or because it has no enabled devices associated"
        " with it",
        "Der angegebene Dienst kann nicht gestartet werden. Er ist deaktiviert oder nicht mit aktivierten Geräten"
        " verbunden",
        "Le service ne peut pas être démarré parce qu’il est désactivé ou qu’aucun périphérique activé ne lui est"
        " associé",
    ),
    1060: (
        "The specified service does not exist as an installed service",
        "Der angegebene Dienst ist kein installierter Dienst",
        "Le service spécifié n’existe pas en tant que service installé",
    ),
    1061: (
        "The service cannot accept control messages at this time",
        "Der Dienst kann zurzeit keine Steuermeldungen annehmen",
        "Le service ne peut pas accepter des commandes en ce moment",
    ),
    1062: ("The service has not been started", "Der Dienst wurde nicht gestartet", "Le service n’a pas été démarré"),
    1066: (
        "The service has returned a service-specific error code",
        "Der Dienst hat einen dienstspezifischen Fehlercode zurückgegeben",
        "Le service a retourné un code d’erreur qui lui est spécifique",
    ),
    1067: (
        "The process terminated unexpectedly",
        "Der Prozess wurde unerwartet beendet",
        "Le processus s’est arrêté inopinément",
    ),
    1068: (
        "The dependency service or group failed to start",
        "Der Abhängigkeitsdienst oder die Abhängigkeitsgruppe konnte nicht gestartet werden",
        "Le service ou le groupe de dépendance n’a pas pu démarrer",
    ),
    1069: (
        "The service did not start due to a logon failure",
        "Der Dienst konnte wegen einer fehlerhaften Anmeldung nicht gestartet werden",
        "Le service n’a pas pu démarrer à cause de l’échec de l’ouverture de session",
    ),
    1072: (
        "The specified service has been marked for deletion",
        "Der angegebene Dienst wurde zum Löschen markiert",
        "Le service spécifié a été marqué pour suppression",
    ),
    1077: (
        "No attempts to start the service have been made since the last boot",
        "Es wurde seit dem letzten Systemstart kein Versuch unternommen, den Dienst zu starten",
        "Aucune tentative de lancement du service n’a été faite depuis le dernier démarrage",
    ),
}


class Win32Error(Exception):
    """A Windows call failed with `code`."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"{code}: {message(code, 'en')}")


def message(code: int, language: str) -> str:
    """What Windows says for *code*, without the full stop that FormatMessage would add."""
    texts = _TEXTS.get(code)
    if texts is None:
        return {"de": "Unbekannter Fehler", "fr": "Erreur inconnue"}.get(language, "Unknown error") + f" ({code:#x})"
    return texts[{"de": 1, "fr": 2}.get(language, 0)]
