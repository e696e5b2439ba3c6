"""reg.exe query: the one corner of a registry that the lab has, where a failover cluster keeps its resources."""

import uuid
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.lab.fleet import CLUSTER_SERVICE, HostSpec, ServiceSpec

_ROOTS = {"hklm": "HKEY_LOCAL_MACHINE", "hkey_local_machine": "HKEY_LOCAL_MACHINE"}
_RESOURCES = "HKEY_LOCAL_MACHINE\\Cluster\\Resources"
_NOT_FOUND = {
    "en": "ERROR: The system was unable to find the specified registry key or value.",
    "de": "FEHLER: Der angegebene Registrierungsschlüssel bzw. Wert wurde nicht gefunden.",
    "fr": "ERREUR : le système n’a pas trouvé la clé ou la valeur de Registre spécifiée.",
}
_END = {
    "en": "End of search: {} match(es) found.",
    "de": "Suchende: {} Übereinstimmung(en) gefunden.",
    "fr": "Fin de la recherche : {} correspondance(s) trouvée(s).",
}
_SYNTAX = {
    "en": 'ERROR: Invalid syntax.\nType "REG QUERY /?" for usage.',
    "de": 'FEHLER: Ungültige Syntax.\nGeben Sie "REG QUERY /?" ein, um die Syntax anzuzeigen.',
    "fr": "ERREUR : syntaxe incorrecte.\nEntrez « REG QUERY /? » pour afficher la syntaxe.",
}


def run(spec: HostSpec, arguments: Sequence[str]) -> tuple[int, list[str], list[str]]:
    """Exit code, lines, and lines on standard error of one call: `query KEY [/s [/v VALUE]]`."""
    words = [word.casefold() for word in arguments]
    only = words[4] if words[2:4] == ["/s", "/v"] and len(words) == 5 else ""
    if len(words) < 2 or words[0] != "query" or not (only or set(words[2:]) <= {"/s"}):
        return 1, [], _SYNTAX[spec.language].split("\n")
    root, _, path = arguments[1].rstrip("\\").partition("\\")
    wanted = f"{_ROOTS.get(root.casefold(), root)}\\{path}".casefold()
    keys = _keys(spec)
    if wanted not in {key.casefold() for key in keys}:
        return 1, [], [_NOT_FOUND[spec.language]]
    if not only:
        return 0, list(_shown(keys, wanted, deep="/s" in words)), []
    named = {key: {name: text for name, text in of.items() if name.casefold() == only} for key, of in keys.items()}
    count = sum(map(len, named.values()))
    return int(not count), [*_shown(named, wanted, deep=True), _END[spec.language].format(count)], []


def _shown(keys: Mapping[str, Mapping[str, str]], wanted: str, *, deep: bool) -> Iterator[str]:
    yield ""
    for key, values in keys.items():
        above = key.casefold().rpartition("\\")[0]
        if key.casefold() == wanted or (deep and key.casefold().startswith(f"{wanted}\\")):
            if values:
                yield key
                yield from (f"    {name}    REG_SZ    {value}" for name, value in values.items())
                yield ""
        elif not deep and above == wanted:
            yield key


def _keys(spec: HostSpec) -> dict[str, dict[str, str]]:
    """Key to value names to texts, in the order in which reg.exe shows them."""
    if all(service.name.casefold() != CLUSTER_SERVICE.casefold() for service in spec.services):
        return {}
    keys: dict[str, dict[str, str]] = {_RESOURCES.rpartition("\\")[0]: {}, _RESOURCES: {}}
    for service in spec.services:
        if service.cluster_role:
            key = f"{_RESOURCES}\\{uuid.uuid5(uuid.NAMESPACE_DNS, f'{spec.name} {service.name}')}"
            keys[key] = {"Type": _type(service), "Name": service.cluster_role}
            keys[f"{key}\\Parameters"] = {"ServiceName": service.name}
    return keys


def _type(service: ServiceSpec) -> str:
    return "SQL Server" if service.name.casefold().startswith("mssql") else "Generic Service"
