"""How one host is reached: the typed, checked form of Ansible's connection variables."""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.numerous import numerous
from orchestrator.domain.secrets import Secret


class Transport(StrEnum):
    """The wire. Ansible's `winrm` is spoken as `psrp`."""

    PSRP = "psrp"
    SSH = "ssh"


class ControlBy(StrEnum):
    """By what a host's services are driven (`orch_control`)."""

    POWERSHELL = "powershell"
    SC = "sc"


class Auth(StrEnum):
    """WinRM's ways to authenticate, in pypsrp's words."""

    BASIC = "basic"
    NTLM = "ntlm"
    NEGOTIATE = "negotiate"
    KERBEROS = "kerberos"
    CREDSSP = "credssp"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A host that SSH goes through. `user` "" and `port` 0: as the SSH configuration says, else ours and 22."""

    address: str
    port: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """What SSH alone needs. Paths are files of the controller; "" or () leave it to the defaults of OpenSSH.

    `config` is the client configuration that counts: "" is ~/.ssh/config, "none" is no file at all. `agent` says
    whether keys of a running agent are offered. `jumps` are gone through in order.
    """

    key_file: str = ""
    passphrase: Secret | None = None
    certificate_file: str = ""
    known_hosts: tuple[str, ...] = ()
    config: str = ""
    agent: bool = True
    jumps: tuple[Jump, ...] = ()
    keepalive_s: float = 15.0


@numerous(frozen=True, slots=True, kw_only=True)
class Connection:
    """One way to reach one host. Durations are seconds.

    `host` is the inventory name; `address` what is connected to. `encryption` is `auto`, `always` or `never` (message
    encryption over HTTP; `never` with basic sends the password in clear, and must be asked for). `verify` False
    accepts any certificate or host key; `ca` is a PEM file or folder. `resolved` are the IP addresses that `address`
    was resolved to, once, in order of preference; empty: it was not resolved (a proxy or a jump host does that).
    """

    host: str
    address: str
    port: int
    transport: Transport = Transport.PSRP
    control: ControlBy = ControlBy.POWERSHELL
    resolved: tuple[str, ...] = ()
    ssh: Ssh = Ssh()
    user: str = ""
    password: Secret | None = None
    https: bool = True
    path: str = "wsman"
    auth: Auth = Auth.NEGOTIATE
    verify: bool = True
    ca: str = ""
    encryption: str = "auto"
    certificate_pem: str = ""
    certificate_key_pem: str = ""
    negotiate_service: str = "host"
    negotiate_hostname_override: str = ""
    negotiate_delegate: bool = False
    configuration_name: str = "Microsoft.PowerShell"
    proxy: str = ""
    connection_timeout_s: float = 15.0
    operation_timeout_s: float = 20.0
    read_timeout_s: float = 30.0
