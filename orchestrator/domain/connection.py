"""How one host is reached: the typed, checked form of Ansible's connection variables."""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.secrets import Secret


class Transport(StrEnum):
    """The wire. Ansible's `winrm` is spoken as `psrp`."""

    PSRP = "psrp"
    SSH = "ssh"


class Auth(StrEnum):
    """WinRM's ways to authenticate, in pypsrp's words."""

    BASIC = "basic"
    NTLM = "ntlm"
    NEGOTIATE = "negotiate"
    KERBEROS = "kerberos"
    CREDSSP = "credssp"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one host. Durations are seconds.

    `host` is the inventory name; `address` what is connected to. `encryption` is `auto`, `always` or `never` (message
    encryption over HTTP; `never` with basic sends the password in clear, and must be asked for). `verify` False
    accepts any certificate; `ca` is a PEM file or folder.
    """

    host: str
    address: str
    port: int
    transport: Transport = Transport.PSRP
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
