"""What the service cmdlets say, in English, German and French. {0} is the service's name, {1} its display name."""

from orchestrator.lab.fleet import LANGUAGES

_TEXTS: dict[str, tuple[str, str, str]] = {
    "NoServiceFoundForGivenName": (
        "Cannot find any service with service name '{0}'.",
        'Es wurde kein Dienst mit dem Dienstnamen "{0}" gefunden.',
        "Impossible de trouver un service assorti du nom «\u00a0{0}\u00a0».",
    ),
    "CouldNotStartService": (
        "Service '{1} ({0})' cannot be started due to the following error: {2}",
        'Der Dienst "{1} ({0})" kann aufgrund des folgenden Fehlers nicht gestartet werden: {2}',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être démarré en raison de l’erreur suivante\u00a0: {2}",
    ),
    "CouldNotStopService": (
        "Service '{1} ({0})' cannot be stopped due to the following error: {2}",
        'Der Dienst "{1} ({0})" kann aufgrund des folgenden Fehlers nicht beendet werden: {2}',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être arrêté en raison de l’erreur suivante\u00a0: {2}",
    ),
    "CouldNotSetService": (
        "Service '{1} ({0})' cannot be configured due to the following error: {2}",
        'Der Dienst "{1} ({0})" kann aufgrund des folgenden Fehlers nicht konfiguriert werden: {2}',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être configuré en raison de l’erreur suivante\u00a0: {2}",
    ),
    "CouldNotResumeService": (
        "Service '{1} ({0})' cannot be resumed due to the following error: {2}",
        'Der Dienst "{1} ({0})" kann aufgrund des folgenden Fehlers nicht fortgesetzt werden: {2}',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être repris en raison de l’erreur suivante\u00a0: {2}",
    ),
    "CouldNotResumeServiceNotRunning": (
        "Service '{1} ({0})' cannot be resumed because it is not currently running.",
        'Der Dienst "{1} ({0})" kann nicht fortgesetzt werden, da er zurzeit nicht ausgeführt wird.',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être repris car il n’est pas en cours d’exécution.",
    ),
    "CouldNotResumeServiceNotSupported": (
        "Service '{1} ({0})' cannot be resumed because the service does not support being suspended or resumed.",
        'Der Dienst "{1} ({0})" kann nicht fortgesetzt werden, da er das Anhalten und Fortsetzen nicht unterstützt.',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être repris, car il ne prend pas en charge la reprise.",
    ),
    "CouldNotSuspendService": (
        "Service '{1} ({0})' cannot be suspended due to the following error: {2}",
        'Der Dienst "{1} ({0})" kann aufgrund des folgenden Fehlers nicht angehalten werden: {2}',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être interrompu en raison de l’erreur suivante\u00a0: {2}",
    ),
    "CouldNotSuspendServiceNotRunning": (
        "Service '{1} ({0})' cannot be suspended because it is not currently running.",
        'Der Dienst "{1} ({0})" kann nicht angehalten werden, da er zurzeit nicht ausgeführt wird.',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être interrompu car il n’est pas en cours d’exécution.",
    ),
    "CouldNotSuspendServiceNotSupported": (
        "Service '{1} ({0})' cannot be suspended because the service does not support being suspended or resumed.",
        'Der Dienst "{1} ({0})" kann nicht angehalten werden, da er das Anhalten und Fortsetzen nicht unterstützt.',
        "Le service «\u00a0{1} ({0})\u00a0» ne peut pas être interrompu, car il ne prend pas en charge l’interruption.",
    ),
    "SuspendServiceFailed": (
        "Failed to suspend service '{1} ({0})'.",
        'Der Dienst "{1} ({0})" kann nicht angehalten werden.',
        "Échec de l’interruption du service «\u00a0{1} ({0})\u00a0».",
    ),
    "suspending": (
        "Waiting for service '{1} ({0})' to pause...",
        'Warten auf Anhalten des Diensts "{1} ({0})"...',
        "Attente de l’interruption du service «\u00a0{1} ({0})\u00a0»...",
    ),
    "cannot pause": (
        "Cannot pause {0} service on computer '.'.",
        'Der Dienst {0} auf dem Computer "." kann nicht angehalten werden.',
        "Impossible d’interrompre le service {0} sur l’ordinateur '.'.",
    ),
    "StartServiceFailed": (
        "Failed to start service '{1} ({0})'.",
        'Der Dienst "{1} ({0})" kann nicht gestartet werden.',
        "Échec du démarrage du service «\u00a0{1} ({0})\u00a0».",
    ),
    "StopServiceFailed": (
        "Service '{1} ({0})' stop failed.",
        'Fehler beim Beenden des Diensts "{1} ({0})".',
        "Échec de l’arrêt du service «\u00a0{1} ({0})\u00a0».",
    ),
    "ResumeServiceFailed": (
        "Failed to resume service '{1} ({0})'.",
        'Fehler beim Fortsetzen des Diensts "{1} ({0})".',
        "Échec de la reprise du service «\u00a0{1} ({0})\u00a0».",
    ),
    "ServiceHasDependentServices": (
        "Cannot stop service '{1} ({0})' because it has dependent services. It can only be stopped if the Force flag"
        " is set.",
        'Der Dienst "{1} ({0})" kann nicht beendet werden, da abhängige Dienste vorhanden sind. Er kann nur beendet'
        ' werden, wenn das Flag "Force" festgelegt ist.',
        "Impossible d’arrêter le service «\u00a0{1} ({0})\u00a0» car il possède des services dépendants. Vous ne"
        " pouvez l’arrêter que si l’indicateur Force est activé.",
    ),
    "starting": (
        "Waiting for service '{1} ({0})' to start...",
        'Warten auf Start des Diensts "{1} ({0})"...',
        "Attente du démarrage du service «\u00a0{1} ({0})\u00a0»...",
    ),
    "stopping": (
        "Waiting for service '{1} ({0})' to stop...",
        'Warten auf Beendigung des Diensts "{1} ({0})"...',
        "Attente de l’arrêt du service «\u00a0{1} ({0})\u00a0»...",
    ),
    "resuming": (
        "Waiting for service '{1} ({0})' to resume...",
        'Warten auf Fortsetzung des Diensts "{1} ({0})"...',
        "Attente de la reprise du service «\u00a0{1} ({0})\u00a0»...",
    ),
    "cannot open": (
        "Cannot open {0} service on computer '.'.",
        'Der Dienst {0} auf dem Computer "." kann nicht geöffnet werden.',
        "Impossible d’ouvrir le service {0} sur l’ordinateur '.'.",
    ),
    "cannot start": (
        "Cannot start service {0} on computer '.'.",
        'Der Dienst {0} auf dem Computer "." kann nicht gestartet werden.',
        "Impossible de démarrer le service {0} sur l’ordinateur '.'.",
    ),
    "cannot stop": (
        "Cannot stop {0} service on computer '.'.",
        'Der Dienst {0} auf dem Computer "." kann nicht beendet werden.',
        "Impossible d’arrêter le service {0} sur l’ordinateur '.'.",
    ),
    "cannot resume": (
        "Cannot resume {0} service on computer '.'.",
        'Der Dienst {0} auf dem Computer "." kann nicht fortgesetzt werden.',
        "Impossible de reprendre le service {0} sur l’ordinateur '.'.",
    ),
    "not found": (
        "Service {0} was not found on computer '.'.",
        'Der Dienst {0} wurde auf dem Computer "." nicht gefunden.',
        "Le service {0} est introuvable sur l’ordinateur '.'.",
    ),
    "no script": (
        "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        "Die Syntax wird von diesem Runspace nicht unterstützt. Dies kann der Fall sein, wenn der Runspace im Modus"
        " ohne Sprache ausgeführt wird.",
        "Cette instance d’exécution ne prend pas en charge la syntaxe. Cela peut se produire si l’instance"
        " d’exécution est en mode sans langage.",
    ),
    "no command": (
        "The term '{0}' is not recognized as the name of a cmdlet, function, script file, or operable program. Check"
        " the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        'Die Benennung "{0}" wurde nicht als Name eines Cmdlet, einer Funktion, einer Skriptdatei oder eines'
        " ausführbaren Programms erkannt. Überprüfen Sie die Schreibweise des Namens, oder ob der Pfad korrekt ist,"
        " und wiederholen Sie den Vorgang.",
        "Le terme «\u00a0{0}\u00a0» n’est pas reconnu comme nom d’applet de commande, fonction, fichier de script ou"
        " programme exécutable. Vérifiez l’orthographe du nom, ou si un chemin d’accès existe, vérifiez que le chemin"
        " d’accès est correct et réessayez.",
    ),
    "no parameter": (
        "A parameter cannot be found that matches parameter name '{0}'.",
        'Es wurde kein Parameter gefunden, der dem Parameternamen "{0}" entspricht.',
        "Impossible de trouver un paramètre correspondant au nom «\u00a0{0}\u00a0».",
    ),
    "no variable": (
        "Cannot find a variable with the name '{0}'.",
        'Es wurde keine Variable mit dem Namen "{0}" gefunden.',
        "Impossible de trouver une variable nommée «\u00a0{0}\u00a0».",
    ),
    "no cim": (
        "The RPC server is unavailable. ",
        "Der RPC-Server ist nicht verfügbar. ",
        "Le serveur RPC n’est pas disponible. ",
    ),
    "bad query": ("Invalid query ", "Ungültige Abfrage ", "Requête non valide "),
    "no class": ("Invalid class ", "Ungültige Klasse ", "Classe non valide "),
}


def say(key: str, language: str, *values: str) -> str:
    """The sentence *key* in *language*, filled in."""
    return _TEXTS[key][LANGUAGES.index(language)].format(*values)
