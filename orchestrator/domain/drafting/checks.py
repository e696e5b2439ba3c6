"""Checks and acts of the playbook, rendered and typed: what a gate looks at, and what a hook does."""

import json
import re
from collections.abc import Callable, Iterator

from orchestrator.domain.gates import Check, CommandCheck, HttpCheck, Origin, PortClosedCheck, ServiceCheck, TcpCheck
from orchestrator.domain.playbook.gate_shapes import CheckShape, CommandGate, HttpGate
from orchestrator.domain.playbook.life_shapes import HttpAct
from orchestrator.domain.playbook.values import Wrong
from orchestrator.domain.secrets import CLOSE, OPEN
from orchestrator.domain.service import State

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Source: RFC 9110, 5.6.2."""
ITSELF = "localhost"
"""How a host calls itself, for a probe that runs there."""
CONTENT_TYPE = "Content-Type"


def at_own_address(shape: CheckShape, origin: Origin) -> bool:
    """Whether the check looks from the controller at whatever host its unit is on."""
    return shape.tcp is not None and shape.tcp.host is None and origin is Origin.CONTROLLER


def typed(shape: CheckShape, origin: Origin, file: str, resolve: Callable[[str], str], own: str = ITSELF) -> Check:
    """The check of *shape*. *resolve* turns what it names into an address, *own* is the unit's host. Raises Wrong."""
    if shape.http:
        return request(shape.http, origin, file)
    if shape.command:
        return program(shape.command)
    if shape.tcp:
        return TcpCheck(host=resolve(shape.tcp.host) if shape.tcp.host else own, port=shape.tcp.port)
    if shape.port_closed:
        return PortClosedCheck(port=shape.port_closed.port)
    assert shape.service is not None, "CheckShape has exactly one check"
    return ServiceCheck(state=State(shape.service.state), name=shape.service.name or "")


def request(shape: HttpGate, origin: Origin, file: str) -> HttpCheck:
    """The request of *shape*, a gate's or a hook's. Raises Wrong."""
    if origin is Origin.HOST:
        _refuse_secrets([shape.text, shape.regex, *(shape.json_ or {}).values()])
    headers = dict(shape.headers or {})
    _check_headers(headers)
    body = ""
    if isinstance(shape, HttpAct):
        body = shape.body
        if shape.json_body is not None:
            if any(OPEN in text for text in _texts(shape.json_body)):
                wrong = "a secret can't stand in `json_body`: what it holds could end its text"
                raise Wrong(wrong, "send it in a header, or write the whole as `body`")
            body = json.dumps(shape.json_body)
            if CONTENT_TYPE.lower() not in map(str.lower, headers):
                headers[CONTENT_TYPE] = "application/json"
    return HttpCheck(
        url=shape.url,
        method=shape.method,
        status=shape.status,
        text=shape.text,
        regex=shape.regex,
        json=tuple((shape.json_ or {}).items()),
        headers=tuple(headers.items()),
        verify=shape.verify,
        ca=_beside(file, shape.ca) if shape.ca else "",
        body=body,
    )


def program(shape: CommandGate) -> CommandCheck:
    """The program of *shape*, a gate's or a hook's. Raises Wrong."""
    _refuse_secrets([shape.text, shape.regex])
    return CommandCheck(exe=shape.exe, args=shape.args, exit_codes=shape.exit_code, text=shape.text, regex=shape.regex)


def _refuse_secrets(wanted: list[object]) -> None:
    """What a host or a program prints is compared where secrets are not resolved."""
    if any(isinstance(text, str) and OPEN in text for text in wanted):
        raise Wrong(
            "a secret can't be looked for in what a program or a host prints",
            "look for other text; with `http` and `from: controller` a secret can be compared",
        )


def _check_headers(headers: dict[str, str]) -> None:
    """A name that is no token would be something else to whoever sends it: `@file` is one to curl."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise Wrong(f"{name!r} is no name of an HTTP header", "letters, digits and dashes")
        if not value.replace(OPEN, "").replace(CLOSE, "").replace("\t", "").isprintable():
            raise Wrong(f"the value of the header {name} holds a line break or another control character")


def _texts(value: object) -> Iterator[str]:
    """All texts in what JSON is made of, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (str(key), *_texts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _beside(file: str, path: str) -> str:
    """*path* relative to the folder of *file*, unless it is absolute on any platform, or a secret's reference."""
    folder = max(file.rpartition("/")[0], file.rpartition("\\")[0], key=len)
    if not folder or not (path[0].isalnum() or path[0] == ".") or path[1:2] == ":":
        return path
    return f"{folder}/{path}"
