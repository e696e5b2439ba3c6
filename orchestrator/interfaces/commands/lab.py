"""`orch lab up | ps | down | fault | clear | kill | trigger | reboot`."""

import json as json_module
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rich.table import Table
from rich.text import Text

from orchestrator import lab_wiring, state_wiring
from orchestrator.domain.errors import BadInput
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.loading import load
from orchestrator.interfaces.options import Sources
from orchestrator.interfaces.terminal import out, print_json, say
from orchestrator.interfaces.theme import plural


def up(*, plan: Path, inventory: Sources, state_dir: Path | None) -> None:
    """Start the lab of a playbook in the foreground; returns when it has ended."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        project = load(plan, inventory)
        with lab_wiring.served(project, state) as lab, suppress(KeyboardInterrupt):  # which is how one ends it
            hosts = plural(len(project.inventory.hosts), "host")
            say(f"lab {project.draft.name}: {hosts} on loopback; Ctrl-C or `orch lab down` ends it")
            say(f"its certificates are signed by {lab.ca}; what it is asked is logged in {lab.dir / 'log.jsonl'}")
            if (known_hosts := lab.known_hosts).exists():
                trusting = f"ansible_ssh_common_args: -o UserKnownHostsFile={known_hosts}"
                say(f"its SSH host keys are in {known_hosts}; an inventory trusts them by {trusting}")
            lab.wait()
        say("lab ended")


def ps(*, json: bool, state_dir: Path | None) -> None:
    """Show hosts, services and faults of the lab that runs on this state folder."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        answer = lab_wiring.order(state, {"op": "ps"})
        if json:
            print_json(json_module.dumps(answer))
            return
        table = Table("host", "address", "service", "state", "pid", "fault", box=None, pad_edge=False)
        for host in answer["hosts"]:
            table.add_row(Text(host["host"], style="bold"), Text(_address(host)), "", "", "", _faults(host["faults"]))
            for service in host["services"]:
                now, pid = Text(service["state"]), Text(str(service["pid"] or ""))
                table.add_row("", "", Text(service["name"]), now, pid, _faults(service["faults"]))
            for thing in host["things"]:
                name, fault_of = Text(f"{thing['kind']} {thing['name']}"), Text(thing["fault"], style="yellow")
                table.add_row("", "", name, Text(_standing(thing)), "", fault_of)
        out().print(table)


def down(*, state_dir: Path | None) -> None:
    """End the lab that runs on this state folder."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        lab_wiring.order(state, {"op": "down"})
        say("lab ended")


def fault(*, target: str, kind: str, value: str | None, state_dir: Path | None) -> None:
    """Give a unit or a host a fault."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        order = {"op": "fault", **_target(target, state), "kind": kind, "value": _number(value)}
        lab_wiring.order(state, order)
        say(f"{target}: {kind}{' ' + value if value else ''}; take it back: orch lab clear {target}")


def clear(*, target: str | None, state_dir: Path | None) -> None:
    """Take the faults of a target, or all of them, back."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        lab_wiring.order(state, {"op": "clear", **(_target(target, state) if target else {})})
        say(f"{target or 'everything'}: no faults")


def kill(*, unit: str, state_dir: Path | None) -> None:
    """End the process of a unit."""
    _tell("kill", unit, "its process has crashed", state_dir)


def trigger(*, unit: str, state_dir: Path | None) -> None:
    """Fire the start trigger of a unit."""
    _tell("trigger", unit, "its start trigger has fired", state_dir)


def reboot(*, host: str, away_s: float | None, state_dir: Path | None) -> None:
    """Restart a host."""
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        lab_wiring.order(state, {"op": "reboot", "host": host, "away_s": away_s})
        say(f"{host} restarts")


def _tell(op: str, unit: str, said: str, state_dir: Path | None) -> None:
    state = state_wiring.state_folder(state_dir)
    with boundary(state):
        if "@" not in unit:
            raise BadInput(f"{unit}: expected a unit, as orders@app-03", hint="orch lab ps lists every unit")
        target = _target(unit, state)
        if "thing" in target:
            raise BadInput(f"{unit} is no service: orch lab {op} is for services")
        lab_wiring.order(state, {"op": op, **target})
        say(f"{unit}: {said}")


def _standing(thing: Mapping[str, object]) -> str:
    """Where what is no service is, in the words of services."""
    if thing["moving"]:
        return "StartPending" if thing["up"] else "StopPending"
    return "Running" if thing["up"] else "Stopped"


def _address(host: Mapping[str, object]) -> str:
    """The address, and where SSH is served there, if it is."""
    return f"{host['address']}" + (f", ssh {host['ssh_port']}" if host["ssh_port"] else "")


def _faults(faults: Mapping[str, object]) -> Text:
    return Text(", ".join(f"{kind} {_value(value)}".strip() for kind, value in faults.items()), style="yellow")


def _value(value: object) -> str:
    """A fault's value as it was typed; an aimed one as its parts."""
    if isinstance(value, dict):
        return " ".join(f"{key}={part}" for key, part in value.items() if part not in (None, ""))
    return "" if value is None or value is True else str(value)


def _number(value: str | None) -> str | float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


def _target(target: str, state: Path) -> dict[str, str]:
    """The lab's words for a unit (`orders@app-03`, `orders:Orders.Api@app-03`), what is no service too, or a host."""
    unit, at, host = target.rpartition("@")
    if not at:
        return {"host": target}
    key, _, scm_name = unit.partition(":")
    names = lab_wiring.known(state).get(f"{key}@{host}", [])
    if not scm_name and len(names) == 1:
        scm_name = names[0]
    if not scm_name or scm_name not in names:
        known = ", ".join(names) if names else "none"
        raise BadInput(f"{target}: the lab's services there are: {known}", hint="orch lab ps lists every unit")
    kind, is_thing, name = scm_name.partition("/")  # which stands in the name of no service
    return {"host": host, "kind_of": kind, "thing": name} if is_thing else {"host": host, "service": scm_name}
