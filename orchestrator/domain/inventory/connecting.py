"""From a host's variables to how it is reached: typed, checked, every mistake with its place."""

from difflib import get_close_matches

from orchestrator.domain.connection import Auth, Connection, Transport
from orchestrator.domain.errors import Mistakes
from orchestrator.domain.inventory import connection_variables as known
from orchestrator.domain.inventory.connection_values import Reader
from orchestrator.domain.inventory.model import InventoryHost
from orchestrator.domain.inventory.rendering import Rendered
from orchestrator.domain.secrets import Secret

_KINDS = {"psrp": Transport.PSRP, "winrm": Transport.PSRP, "ssh": Transport.SSH}
MOST_UNSUPPORTED = 50
"""How many unsupported variables of one host are told: looking for the nearest name takes time."""

_DEFAULT = Connection(host="", address="", port=0)


def connect(variables: Rendered) -> Connection:
    """How the host of *variables* is reached.

    Defaults are Ansible's: HTTPS on 5986, HTTP if the port is 5985, `negotiate`. A host without ansible_connection is
    read as psrp, or as winrm if all that it has are ansible_winrm variables.

    Raises:
        Mistakes: all that is wrong with the host's connection variables, unsupported ones included.
    """
    host, reader = variables.host, Reader(variables)
    _refuse_unsupported(reader)
    kind = _kind(reader)
    made = _ssh(host, reader) if kind == "ssh" else _psrp(host, reader, winrm=kind == "winrm")
    if reader.mistakes:
        raise Mistakes(reader.mistakes)
    return made


def _refuse_unsupported(reader: Reader) -> None:
    for name in sorted(reader.names - known.HARMLESS)[:MOST_UNSUPPORTED]:
        if name.startswith("ansible_ssh_"):
            continue  # SSH says for itself what it supports
        right = next((why for beginning, why in known.REFUSED.items() if name.startswith(beginning)), None)
        if right is None:
            near = get_close_matches(name, sorted(known.KNOWN), n=1)
            right = f"the nearest known one is {near[0]}" if near else "remove it"
        reader.wrong(name, f"{name} is not supported", right)


def _kind(reader: Reader) -> str:
    only_winrm = bool(reader.names & known.WINRM_ALONE) and not any("_psrp_" in name for name in reader.names)
    return reader.choice(("ansible_connection",), {kind: kind for kind in _KINDS}, "winrm" if only_winrm else "psrp")


def _ssh(host: InventoryHost, reader: Reader) -> Connection:
    names = known.SSH
    return Connection(
        host=host.name,
        address=reader.address(names.address, host.name),
        port=reader.port(names.port) or 22,
        transport=Transport.SSH,
        user=reader.text(names.user),
        password=_password(reader, names),
    )


def _psrp(host: InventoryHost, reader: Reader, *, winrm: bool) -> Connection:
    names = known.WINRM if winrm else known.PSRP
    port = reader.port(names.port)
    protocol = reader.choice(names.protocol, {"http": "http", "https": "https"}, "http" if port == 5985 else "https")
    https = protocol == "https"
    user = reader.text(names.user)
    made = Connection(
        host=host.name,
        address=reader.address(names.address, host.name),
        port=port or (5986 if https else 5985),
        user=user,
        password=_password(reader, names),
        https=https,
        path=reader.text(names.path, _DEFAULT.path).strip("/"),
        auth=_winrm_auth(reader, user) if winrm else reader.choice(names.auth, known.AUTH, Auth.NEGOTIATE),
        verify=reader.choice(names.verification, {"validate": True, "ignore": False}, _DEFAULT.verify),
        ca=reader.path(names.ca),
        encryption=reader.choice(names.encryption, {one: one for one in ("auto", "always", "never")}, "auto"),
        certificate_pem=reader.path(names.certificate),
        certificate_key_pem=reader.path(names.certificate_key),
        negotiate_service=reader.text(names.service, "HTTP" if winrm else "WSMAN"),
        negotiate_hostname_override=reader.text(names.hostname),
        negotiate_delegate=reader.flag(names.delegate, default=False),
        configuration_name=reader.text(names.configuration, _DEFAULT.configuration_name),
        proxy=reader.text(names.proxy),
        connection_timeout_s=reader.seconds(names.connection_timeout, _DEFAULT.connection_timeout_s),
        operation_timeout_s=reader.seconds(names.operation_timeout, _DEFAULT.operation_timeout_s),
        read_timeout_s=reader.seconds(names.read_timeout, _DEFAULT.read_timeout_s),
    )
    _check(made, reader, names)
    return made


def _winrm_auth(reader: Reader, user: str) -> Auth:
    names = known.WINRM
    chosen = reader.choices(names.auth, known.WINRM_AUTH)
    if not chosen:
        return Auth.KERBEROS if "@" in user else Auth.BASIC
    if chosen == {"ssl"} and reader.text(names.certificate):
        return Auth.CERTIFICATE
    kinds = {known.WINRM_AUTH[one] for one in chosen}
    if kinds == {Auth.KERBEROS, Auth.NTLM}:
        return Auth.NEGOTIATE
    if len(kinds) > 1:
        reader.wrong(
            names.auth[0], f"{', '.join(sorted(chosen))}: several transports", "name one, or kerberos and ntlm"
        )
    return sorted(kinds)[0]


def _password(reader: Reader, names: known.Names) -> Secret | None:
    text = reader.secret(names.password)
    return None if text is None else Secret(text)


def _check(made: Connection, reader: Reader, names: known.Names) -> None:
    """What each value allows by itself and not beside the others."""
    plain = made.auth in (Auth.BASIC, Auth.CERTIFICATE)
    if made.auth is Auth.BASIC and not made.https and made.encryption != "never":
        reader.wrong(names.auth[0], "basic authentication over HTTP would send the password in clear", _better(names))
    if made.auth is Auth.CERTIFICATE and not made.https:
        reader.wrong(names.auth[0], "certificate authentication needs HTTPS", f"write {names.protocol[0]}: https")
    if made.auth is Auth.CERTIFICATE and not (made.certificate_pem and made.certificate_key_pem):
        wanted = f"give {names.certificate[0]} and {names.certificate_key[0]}"
        reader.wrong(names.auth[0], "certificate authentication without a certificate and its key", wanted)
    if plain and made.encryption == "always":
        wrong = f"{made.auth} authentication has no message encryption"
        reader.wrong(names.encryption[0], wrong, f"leave {names.encryption[0]} out: HTTPS encrypts")
    if made.read_timeout_s <= made.operation_timeout_s:
        wrong = f"the read timeout ({made.read_timeout_s:g} s) is not longer than the operation timeout"
        name = reader.given(names.read_timeout) or names.operation_timeout[0]
        reader.wrong(name, wrong, f"more than {made.operation_timeout_s:g} s")


def _better(names: known.Names) -> str:
    return (
        f"write {names.protocol[0]}: https, or another {names.auth[0]} (ntlm, kerberos); "
        f"or {names.encryption[0]}: never, if that is what you want"
    )
