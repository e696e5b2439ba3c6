"""A lab for tests, and unmodified pypsrp as its client."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopback import fresh_address
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from orchestrator.lab.client import LabProcess, start

USER, PASSWORD = "admin", "Pa55-wörd :x"


def host(name: str, *services: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A host of a fleet description, on an address of its own."""
    return {"name": name, "address": fresh_address(), "services": list(services), **given}


@contextlib.contextmanager
def lab(
    folder: Path, *hosts: dict[str, Any], transports: tuple[str, ...] = ("http",), **given: Any
) -> Iterator[LabProcess]:
    """A lab of *hosts*; *given* are more fields of the fleet description."""
    fleet = {"name": "test", "dir": str(folder), "users": {USER: PASSWORD}, "transports": transports, "hosts": hosts}
    with start({**fleet, **given}) as process:
        yield process


def wsman(address: str, *, auth: str = "basic", password: str = PASSWORD, **given: Any) -> WSMan:
    """A WSMan of pypsrp; over plain HTTP unless `ssl` is given."""
    settings: dict[str, Any] = {"ssl": False, "no_proxy": True, "read_timeout": 10, "connection_timeout": 5, **given}
    if auth == "basic" and not settings["ssl"]:
        settings["encryption"] = "never"
    return WSMan(address, username=USER, password=password, auth=auth, **settings)


@contextlib.contextmanager
def session(address: str, *, max_runspaces: int = 2, **given: Any) -> Iterator[RunspacePool]:
    """An open runspace pool, closed at the end."""
    with wsman(address, **given) as connection, RunspacePool(connection, max_runspaces=max_runspaces) as pool:
        yield pool


def command(pool: RunspacePool, name: str, *arguments: Any, **parameters: Any) -> PowerShell:
    """A pipeline of one command, not yet sent."""
    shell = PowerShell(pool)
    shell.add_cmdlet(name)
    for argument in arguments:
        shell.add_argument(argument)
    return shell.add_parameters(parameters)


def run(pool: RunspacePool, name: str, *arguments: Any, **parameters: Any) -> PowerShell:
    """A pipeline of one command, run to its end."""
    shell = command(pool, name, *arguments, **parameters)
    shell.invoke()
    return shell


def program(pool: RunspacePool, name: str, *arguments: str) -> tuple[int, list[str]]:
    """Exit code and lines of a program."""
    shell = command(pool, name, *arguments)
    shell.add_statement().add_cmdlet("Get-Variable").add_parameters({"Name": "LASTEXITCODE", "ValueOnly": True})
    *lines, code = shell.invoke()
    return int(code), lines


def states(shell: PowerShell) -> dict[str, str]:
    """Name and state of each service that came out."""
    return {str(item.extended_properties["Name"]): str(item.adapted_properties["Status"]) for item in shell.output}
