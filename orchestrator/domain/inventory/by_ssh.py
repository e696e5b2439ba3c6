"""How a host is reached by SSH, in the words of Ansible's ssh connection and of OpenSSH's client."""

import re

from orchestrator.domain.connection import Connection, ControlBy, Jump, Ssh, Transport
from orchestrator.domain.inventory import connection_variables as known
from orchestrator.domain.inventory.connection_values import Reader, is_plain_address
from orchestrator.domain.inventory.ranges import is_ipv6
from orchestrator.domain.inventory.ssh_arguments import Arguments

PORT = 22
KEEPALIVE_S = 15.0
CONNECT_S = 15.0
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<address>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::(?P<port>[0-9]{1,5}))?/?")


def by_ssh(host: str, reader: Reader, names: known.Names, control: ControlBy) -> Connection:
    """The connection of *host*. A variable counts before an argument. What is wrong is noted by *reader*."""
    arguments = Arguments(reader)
    return Connection(
        host=host,
        address=reader.address(names.address, host),
        port=reader.port(names.port) or PORT,
        transport=Transport.SSH,
        control=control,
        user=reader.text(names.user),
        password=reader.secret(names.password),
        verify=reader.flag(names.verification, default=_verified(arguments)),
        connection_timeout_s=reader.seconds(
            names.connection_timeout, arguments.seconds("connecttimeout", CONNECT_S) or CONNECT_S
        ),
        ssh=Ssh(
            key_file=_key_file(reader, names, arguments),
            passphrase=reader.secret(names.passphrase),
            certificate_file=arguments.path("certificatefile"),
            known_hosts=arguments.paths("userknownhostsfile"),
            config=arguments.path("-f"),
            agent=_agent(arguments),
            jumps=_jumps(arguments),
            keepalive_s=arguments.seconds("serveraliveinterval", KEEPALIVE_S),
        ),
    )


def _verified(arguments: Arguments) -> bool:
    return arguments.word("stricthostkeychecking", {"yes": True, "ask": True, "no": False, "off": False}, default=True)


def _key_file(reader: Reader, names: known.Names, arguments: Arguments) -> str:
    said, key_file = arguments.path("identityfile"), reader.path(names.key_file)
    if said and key_file and said != key_file:
        arguments.wrong("identityfile", f"{said} and {key_file}: more than one key", "name one; an agent may hold more")
    return key_file or said


def _agent(arguments: Arguments) -> bool:
    """Whether an agent is asked. IdentitiesOnly leaves its keys out, and the key file is read by orch itself."""
    named = arguments.word("identityagent", {"none": False, "ssh_auth_sock": True}, default=True)
    alone = arguments.word("identitiesonly", {"yes": True, "no": False}, default=False)
    return named and not alone


def _jumps(arguments: Arguments) -> tuple[Jump, ...]:
    said = arguments.text("proxyjump")
    if said.lower() in ("", "none"):
        return ()
    return tuple(jump for text in said.split(",") if (jump := _jump(text.strip(), arguments)))


def _is_address(text: str) -> bool:
    return is_plain_address(text) or is_ipv6(text.strip("[]"))


def _jump(text: str, arguments: Arguments) -> Jump | None:
    found = _JUMP.fullmatch(text)
    port = int(found["port"] or 0) if found else 0
    if found is None or port > 65535 or not _is_address(found["address"]):
        arguments.wrong("proxyjump", f"{text[:60]!r} is no jump host", "write [USER@]HOST[:PORT], with commas between")
        return None
    return Jump(address=found["address"].strip("[]"), port=port, user=found["user"] or "")
