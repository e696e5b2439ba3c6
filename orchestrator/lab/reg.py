"""reg.exe: query, add, delete and copy, on the registry of a virtual host."""

import re
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.lab.console import Ran
from orchestrator.lab.registry import ROOT, Registry, Value, Values

_ROOTS = {"hklm": ROOT, ROOT.casefold(): ROOT}
_OURS = f"{ROOT}\\SOFTWARE\\orch\\".casefold()
_NOT_FOUND = {
    "en": "ERROR: The system was unable to find the specified registry key or value.",
    "de": "FEHLER: Der angegebene Registrierungsschlüssel bzw. Wert wurde nicht gefunden.",
    "fr": "ERREUR : le système n’a pas trouvé la clé ou la valeur de Registre spécifiée.",
}
_DENIED = {"en": "ERROR: Access is denied.", "de": "FEHLER: Zugriff verweigert", "fr": "ERREUR : accès refusé."}
_DONE = {
    "en": "The operation completed successfully.",
    "de": "Der Vorgang wurde erfolgreich beendet.",
    "fr": "L’opération a réussi.",
}
_END = {
    "en": "End of search: {} match(es) found.",
    "de": "Suchende: {} Übereinstimmung(en) gefunden.",
    "fr": "Fin de la recherche : {} correspondance(s) trouvée(s).",
}
_SYNTAX = {
    "en": 'ERROR: Invalid syntax.\nType "REG {0} /?" for usage.',
    "de": 'FEHLER: Ungültige Syntax.\nGeben Sie "REG {0} /?" ein, um die Syntax anzuzeigen.',
    "fr": "ERREUR : syntaxe incorrecte.\nEntrez « REG {0} /? » pour afficher la syntaxe.",
}
_DEFAULT = {"en": "(Default)", "de": "(Standard)", "fr": "(par défaut)"}
_SWITCHES = frozenset({"/s", "/f", "/ve", "/va", "/reg:64", "/reg:32"})
_VALUED = frozenset({"/v", "/t", "/d", "/se"})
_TYPES = frozenset({"REG_SZ", "REG_EXPAND_SZ", "REG_MULTI_SZ", "REG_DWORD", "REG_QWORD", "REG_BINARY", "REG_NONE"})


def run(registry: Registry, language: str, arguments: Sequence[str], *, denied: bool = False) -> Ran:
    """One call. Without /f, what would ask a person does nothing: nobody answers. *denied*: what is ours may not be
    read or changed, and the exit code is the same as for what is not there."""
    verb = arguments[0].casefold() if arguments else ""
    keys, options = _parsed(arguments[1:])
    known = {"query": _query, "add": _add, "delete": _delete, "copy": _copy}
    if verb not in known or options is None or len(keys) != 1 + (verb == "copy"):
        return 1, [], _SYNTAX[language].format(verb.upper()).split("\n")
    paths = [_path(key) for key in keys]
    if denied and any(f"{path}\\".casefold().startswith(_OURS) for path in paths):
        return 1, [], [_DENIED[language]]
    found = known[verb](registry, language, paths, options)
    if isinstance(found, str):
        return 1, [], [found]
    return found


def _parsed(words: Sequence[str]) -> tuple[list[str], dict[str, str] | None]:
    """The keys, and the options with their values; None if one is not known."""
    keys: list[str] = []
    options: dict[str, str] = {}
    left = iter(words)
    for word in left:
        low = word.casefold()
        if low in _SWITCHES:
            options[low] = ""
        elif low in _VALUED:
            value = next(left, None)
            if value is None:
                return keys, None
            options[low] = value
        elif word.startswith("/"):
            return keys, None
        else:
            keys.append(word)
    return keys, options


def _path(key: str) -> str:
    root, _, path = key.rstrip("\\").partition("\\")
    return f"{_ROOTS.get(root.casefold(), root)}\\{path}".rstrip("\\")


def _query(registry: Registry, language: str, keys: list[str], options: Mapping[str, str]) -> Ran | str:
    wanted, everything = keys[0].casefold(), dict(registry.items())
    if wanted not in {key.casefold() for key in everything}:
        return _NOT_FOUND[language]
    deep = "/s" in options
    name = "" if "/ve" in options else options.get("/v", None)
    if name is None:
        return 0, list(_shown(everything, wanted, language, deep=deep)), []
    only = {
        key: {spelled: value for spelled, value in values.items() if spelled.casefold() == name.casefold()}
        for key, values in everything.items()
        if key.casefold() == wanted or deep
    }
    count = sum(bool(values) for key, values in only.items() if f"{key.casefold()}\\".startswith(f"{wanted}\\"))
    if not deep:
        return (0, list(_shown(only, wanted, language, deep=True)), []) if count else _NOT_FOUND[language]
    return int(not count), [*_shown(only, wanted, language, deep=True), _END[language].format(count)], []


def _shown(keys: Mapping[str, Values], wanted: str, language: str, *, deep: bool) -> Iterator[str]:
    yield ""
    for key, values in keys.items():
        above = key.casefold().rpartition("\\")[0]
        if key.casefold() == wanted or (deep and key.casefold().startswith(f"{wanted}\\")):
            if values:
                yield key
                for name, value in values.items():
                    yield f"    {name or _DEFAULT[language]}    {value.type}    {value.data}"
                yield ""
        elif not deep and above == wanted:
            yield key


def _add(registry: Registry, language: str, keys: list[str], options: Mapping[str, str]) -> Ran | str:
    name = "" if "/ve" in options else options.get("/v")
    kind = options.get("/t", "REG_SZ").upper()
    value = _value(kind, options.get("/d", "")) if kind in _TYPES else None
    if value is None:
        return _SYNTAX[language].format("ADD")
    registry.put(keys[0], name, value)
    return 0, [_DONE[language]], []


def _value(kind: str, data: str) -> Value | None:
    """The data as the registry has it; None if it does not fit the type."""
    if kind in ("REG_DWORD", "REG_QWORD"):
        try:
            return Value(kind, f"{int(data or '0', 0):#x}")
        except ValueError:
            return None
    if kind == "REG_BINARY" and not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", data):
        return None
    return Value(kind, data.upper() if kind == "REG_BINARY" else data)


def _delete(registry: Registry, language: str, keys: list[str], options: Mapping[str, str]) -> Ran | str:
    if "/f" not in options:
        return _SYNTAX[language].format("DELETE")
    name = "" if "/ve" in options else options.get("/v")
    gone = registry.drop(keys[0], name, values="/va" in options)
    return (0, [_DONE[language]], []) if gone else _NOT_FOUND[language]


def _copy(registry: Registry, language: str, keys: list[str], options: Mapping[str, str]) -> Ran | str:
    source, target = keys
    below = f"{source.casefold()}\\"
    found = [
        (target + key[len(source) :], values)
        for key, values in registry.items()
        if key.casefold() == source.casefold() or ("/s" in options and key.casefold().startswith(below))
    ]
    for key, values in found:
        registry.put(key)
        for name, value in values.items():
            registry.put(key, name, value)
    return (0, [_DONE[language]], []) if found else _NOT_FOUND[language]
