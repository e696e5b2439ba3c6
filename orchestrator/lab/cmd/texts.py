"""What cmd.exe itself says, in English, German and French."""

from orchestrator.lab.fleet import LANGUAGES

_TEXTS: dict[str, tuple[str, str, str]] = {
    "unknown": (
        "'{0}' is not recognized as an internal or external command,\noperable program or batch file.",
        'Der Befehl "{0}" ist entweder falsch geschrieben oder\nkonnte nicht gefunden werden.',
        "'{0}' n’est pas reconnu en tant que commande interne\n"
        "ou externe, un programme exécutable ou un fichier de commandes.",
    ),
    "unexpected": (
        "{0} was unexpected at this time.",
        '"{0}" kann syntaktisch an dieser Stelle nicht verarbeitet werden.',
        "{0} était inattendu.",
    ),
    "syntax": (
        "The syntax of the command is incorrect.",
        "Syntaxfehler.",
        "La syntaxe de la commande n’est pas correcte.",
    ),
    "too long": (
        "The command line is too long.",
        "Die Befehlszeile ist zu lang.",
        "La ligne de commande est trop longue.",
    ),
    "echo on": ("ECHO is on.", "ECHO ist eingeschaltet (ON).", "Commande ECHO activée."),
    "echo off": ("ECHO is off.", "ECHO ist ausgeschaltet (OFF).", "Commande ECHO désactivée."),
    "code page": ("Active code page: {0}", "Aktive Codepage: {0}.", "Page de codes active : {0}"),
    "bad code page": ("Invalid code page", "Ungültige Codepage", "Page de codes non valide"),
    "not built": (
        "This cmd.exe is a lab's and has no {0}",
        "Diese cmd.exe gehört zu einem Labor und kennt nicht: {0}",
        "Ce cmd.exe est celui d'un laboratoire et ne connaît pas : {0}",
    ),
}


def say(key: str, language: str, *values: object) -> str:
    """The sentence *key* in *language*, filled in; lines are parted by \\n."""
    return _TEXTS[key][LANGUAGES.index(language)].format(*values)
