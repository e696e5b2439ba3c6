"""The control socket: JSON lines in, one JSON line back for each."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from orchestrator.lab import faults
from orchestrator.lab.faults import BadFault
from orchestrator.lab.host import Host
from orchestrator.lab.record import Record
from orchestrator.lab.service import State
from orchestrator.lab.things import Thing
from orchestrator.lab.win32 import Win32Error


class BadOrder(ValueError):
    """The order can't be carried out; the text says what is known."""


class Control:
    """Carries out orders from the control socket on *hosts*. `down` is called when the lab shall end."""

    def __init__(self, hosts: Mapping[str, Host], record: Record, down: Callable[[], None]) -> None:
        self._hosts = hosts
        self._record = record
        self._down = down
        self._orders: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "ps": self._ps,
            "fault": self._fault,
            "clear": self._clear,
            "set": self._set,
            "kill": self._kill,
            "trigger": self._trigger,
            "reboot": self._reboot,
            "down": self._end,
        }

    def carry_out(self, line: bytes) -> dict[str, Any]:
        """The answer to one order: `{"ok": true, ...}` or `{"ok": false, "error": ...}`."""
        try:
            return {"ok": True, **self._do(json.loads(line))}
        except (BadOrder, BadFault) as exc:
            return {"ok": False, "error": str(exc)}
        except ValueError as exc:
            return {"ok": False, "error": f"not JSON: {exc}"}

    def _do(self, order: Any) -> dict[str, Any]:
        if not isinstance(order, dict):
            raise BadOrder("an order is a JSON object with an op")
        op = order.get("op")
        if op not in self._orders:
            raise BadOrder(f"unknown op {op!r}; known: {', '.join(sorted(self._orders))}")
        return self._orders[op](order)

    def _ps(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return {"hosts": [_picture(host) for host in self._hosts.values()]}

    def _end(self, order: Mapping[str, Any]) -> dict[str, Any]:
        self._down()
        return {}

    def _fault(self, order: Mapping[str, Any]) -> dict[str, Any]:
        host, service = self._host(order), order.get("service")
        kind = order.get("kind")
        if "thing" in order:
            thing = _thing(host, order)
            thing.fault = faults.check_thing(str(kind), order.get("value"))
            self._record.write("fault", host=host.spec.name, thing=thing.spec.name, fault=kind)
            return {}
        value = faults.check(str(kind), order.get("value"), of_service=service is not None)
        self._on_service(host, service, lambda: host.set_fault(service, str(kind), value))
        self._record.write("fault", host=host.spec.name, service=service, fault=kind, value=order.get("value"))
        return {}

    def _clear(self, order: Mapping[str, Any]) -> dict[str, Any]:
        service = order.get("service")
        if (service is not None or "thing" in order) and order.get("host") is None:
            raise BadOrder("to clear a service, name its host too")
        if "thing" in order:
            host = self._host(order)
            thing = _thing(host, order)
            thing.fault = thing.spec.fault
            self._record.write("clear", host=host.spec.name, thing=thing.spec.name)
            return {}
        for host in [self._host(order)] if order.get("host") is not None else list(self._hosts.values()):
            self._on_service(host, service, partial(host.clear_faults, service))
            for thing in host.things.every() if service is None else ():
                thing.fault = thing.spec.fault
        self._record.write("clear", host=order.get("host"), service=service)
        return {}

    def _set(self, order: Mapping[str, Any]) -> dict[str, Any]:
        host, service, state = self._host(order), str(order.get("service")), str(order.get("state"))
        if state not in State.__members__:
            raise BadOrder(f"unknown state {state!r}; known: {', '.join(State.__members__)}")
        self._on_service(host, service, lambda: host.scm.force(service, State[state], "by hand"))
        return {}

    def _kill(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """The process of a service ends by itself, with what it began; so does what an earlier life of it left."""
        host, service = self._host(order), str(order.get("service"))

        def kill() -> None:
            victim = host.scm.find(service)
            for process in list(victim.left):
                host.scm.processes.end(process, "killed")
            host.scm.crash(victim, "crashed")

        self._on_service(host, service, kill)
        return {}

    def _trigger(self, order: Mapping[str, Any]) -> dict[str, Any]:
        host, service = self._host(order), str(order.get("service"))
        fired: list[bool] = []
        self._on_service(host, service, lambda: fired.append(host.scm.revival.fire(host.scm.find(service))))
        if fired != [True]:
            raise BadOrder(f"{service} on {host.spec.name} has no start trigger")
        return {}

    def _reboot(self, order: Mapping[str, Any]) -> dict[str, Any]:
        host, away_s = self._host(order), order.get("away_s")
        if away_s is not None and (isinstance(away_s, bool) or not isinstance(away_s, (int, float)) or away_s < 0):
            raise BadOrder(f"away_s: expected seconds, got {away_s!r}")
        host.restart(away_s)
        return {}

    def _host(self, order: Mapping[str, Any]) -> Host:
        name = order.get("host")
        host = self._hosts.get(str(name).casefold())
        if host is None:
            names = sorted(each.spec.name for each in self._hosts.values())
            some = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            raise BadOrder(f"unknown host {name!r}; known: {some}")
        return host

    def _on_service(self, host: Host, service: str | None, act: Callable[[], object]) -> None:
        try:
            act()
        except Win32Error as exc:
            names = ", ".join(sorted(each.name for each in host.scm.every()))
            raise BadOrder(f"unknown service {service!r} on {host.spec.name}; known: {names}") from exc


def _thing(host: Host, order: Mapping[str, Any]) -> Thing:
    """What is no service, by `kind_of` and `thing`, its name. Raises BadOrder."""
    thing = host.things.find(str(order.get("kind_of")), str(order.get("thing")))
    if thing is None:
        names = ", ".join(f"{one.spec.kind} {one.spec.name}" for one in host.things.every())
        raise BadOrder(f"unknown {order.get('kind_of')} {order.get('thing')!r} on {host.spec.name}; known: {names}")
    return thing


def _picture(host: Host) -> dict[str, Any]:
    services = [
        {
            "name": service.name,
            "state": service.state.name,
            "start_type": service.start_type,
            "pid": service.pid,
            "left": [process.pid for process in service.left],
            "children": [process.pid for process in service.children],
            "faults": {kind: faults.shown(value) for kind, value in sorted(service.faults.items())},
        }
        for service in host.scm.every()
    ]
    shown = {kind: faults.shown(value) for kind, value in sorted(host.faults.items())}
    return {
        "host": host.spec.name,
        "address": host.spec.address,
        "ssh_port": host.spec.ssh_port if "ssh" in host.transports else None,
        "faults": shown,
        "off": host.off,
        "booted_at": host.booted_at,
        "auth_failures": host.auth_failures,
        "services": services,
        "things": [
            {
                "kind": thing.spec.kind,
                "name": thing.spec.name,
                "up": thing.up,
                "moving": host.things.moving(thing),
                "fault": thing.fault,
            }
            for thing in host.things.every()
        ],
    }


class Client(asyncio.Protocol):
    """One connection to the control socket."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if self._transport:
                self._transport.write(json.dumps(self._control.carry_out(line), ensure_ascii=False).encode() + b"\n")
