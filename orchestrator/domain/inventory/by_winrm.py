"""How a host is reached by WinRM, in the words of Ansible's psrp and winrm connections."""

from orchestrator.domain.connection import Auth, Connection, ControlBy
from orchestrator.domain.inventory import connection_variables as known
from orchestrator.domain.inventory.connection_values import Reader

_DEFAULT = Connection(host="", address="", port=0)


def by_winrm(host: str, reader: Reader, names: known.Names, control: ControlBy) -> Connection:
    """The connection of *host*, *names* being PSRP or WINRM. What is wrong is noted by *reader*."""
    winrm = names.protocol == known.WINRM.protocol
    port = reader.port(names.port)
    protocol = reader.choice(names.protocol, {"http": "http", "https": "https"}, "http" if port == 5985 else "https")
    https = protocol == "https"
    user = reader.text(names.user)
    made = Connection(
        host=host,
        address=reader.address(names.address, host),
        port=port or (5986 if https else 5985),
        control=control,
        user=user,
        password=reader.secret(names.password),
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
