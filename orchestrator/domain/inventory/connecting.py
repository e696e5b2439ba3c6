"""From a host's variables to how it is reached: typed, checked, every mistake with its place."""

from difflib import get_close_matches

from orchestrator.domain.connection import Connection, ControlBy, Transport
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.inventory import connection_variables as known
from orchestrator.domain.inventory.by_ssh import by_ssh
from orchestrator.domain.inventory.by_winrm import by_winrm
from orchestrator.domain.inventory.connection_values import Reader
from orchestrator.domain.inventory.rendering import Rendered

_NAMES = {"psrp": known.PSRP, "winrm": known.WINRM, "ssh": known.SSH}
_TRANSPORTS = {"psrp": Transport.PSRP, "winrm": Transport.PSRP, "ssh": Transport.SSH}
_CONTROLS = {control.value: control for control in ControlBy}
MOST_UNSUPPORTED = 50
"""How many unsupported variables of one host are told: looking for the nearest name takes time."""


def connect(variables: Rendered) -> tuple[Connection, ...]:
    """The ways by which the host of *variables* is reached, in the order in which they are tried; at least one.

    Defaults are Ansible's: HTTPS on 5986, HTTP if the port is 5985, `negotiate`. A host without ansible_connection is
    read as psrp, or as winrm if all that it has are ansible_winrm variables. `orch_transports` names several ways;
    ansible_port then belongs to the one that ansible_connection names, or to the first.

    Raises:
        Mistakes: all that is wrong with the host's connection variables, unsupported ones included.
    """
    reader = Reader(variables)
    _refuse_unsupported(reader)
    control = reader.choice(known.CONTROL, _CONTROLS, ControlBy.POWERSHELL)
    kinds, main = _kinds(reader)
    made = tuple(_way(variables.host.name, reader, kind, control, main=kind == main) for kind in kinds)
    if reader.mistakes:
        raise Mistakes(reader.mistakes)
    return made


def _refuse_unsupported(reader: Reader) -> None:
    for name in sorted(reader.names - known.HARMLESS)[:MOST_UNSUPPORTED]:
        right = next((why for beginning, why in known.REFUSED.items() if name.startswith(beginning)), None)
        if right is None:
            near = get_close_matches(name, sorted(known.KNOWN), n=1)
            right = f"the nearest known one is {near[0]}" if near else "remove it"
        reader.wrong(name, f"{name} is not supported", right)


def _kinds(reader: Reader) -> tuple[list[str], str]:
    """Under which names the ways are read, in order; and those to which ansible_port belongs."""
    said = reader.choice(known.CONNECTION, {kind: kind for kind in _NAMES}, "")
    only_winrm = bool(reader.names & known.WINRM_ALONE) and not any("_psrp_" in name for name in reader.names)
    remoting = said if _TRANSPORTS.get(said) is Transport.PSRP else "winrm" if only_winrm else "psrp"
    before = len(reader.mistakes)
    listed = reader.ordered(known.TRANSPORTS, _NAMES)
    transports = [_TRANSPORTS[word] for word in listed]
    if len(set(transports)) < len(transports):
        reader.wrong(known.TRANSPORTS[0], "orch_transports names a transport twice", "each once; winrm is psrp")
    elif reader.given(known.TRANSPORTS) and not listed and len(reader.mistakes) == before:
        right = "psrp, ssh, or both in the order in which they are tried"
        reader.wrong(known.TRANSPORTS[0], "orch_transports names no transport", right)
    kinds = [remoting if word == "psrp" else word for word in listed] or [said or remoting]
    return kinds, said or kinds[0]


def _way(host: str, reader: Reader, kind: str, control: ControlBy, *, main: bool) -> Connection:
    names = _NAMES[kind]
    if not main:
        names = names._replace(port=names.port[1:])
    return (by_ssh if kind == "ssh" else by_winrm)(host, reader, names, control)
