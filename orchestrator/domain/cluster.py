"""Which services of a host belong to a failover cluster, as its registry has it.

Such a service must not be moved through the service control manager: the cluster takes that for a failure and starts it
again, or moves it to another node. Its resources stand under RESOURCES, the same on every node and in no language.
"""

import re
from dataclasses import dataclass, field

RESOURCES = "HKLM\\Cluster\\Resources"
"""What `reg.exe query RESOURCES /s` prints is read here, and with `/v VALUE`, one text for all VALUES."""
VALUES = ("Type", "Name", "ServiceName", "InstanceName")
_KEY = re.compile(r"HKEY_LOCAL_MACHINE\\Cluster\\Resources\\([^\\]+)(\\Parameters)?", re.IGNORECASE)
_VALUE = re.compile(r" {4}(\S.*?) {4}REG_[A-Z_]+(?: {4}(.*))?")
_DEFAULT_INSTANCE = "mssqlserver"
_SQL = {
    "sql server": ("MSSQLSERVER", "MSSQL$"),
    "sql server agent": ("SQLSERVERAGENT", "SQLAgent$"),
}
"""Resource type -> the service of the default instance, and what stands before the name of another one."""
_FIXED = {"dhcp service": "DHCPServer", "wins service": "WINS"}


@dataclass(slots=True)
class _Resource:
    own: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


def clustered(printed: str) -> dict[str, str]:
    """SCM name in lower case -> the cluster resource that owns it, from what reg.exe *printed*.

    Names of keys and values are never translated, so they and their positions are all that is looked at; what can't be
    read is passed over. Cost: O(lines).
    """
    resources: dict[str, _Resource] = {}
    here: dict[str, str] | None = None
    for line in printed.splitlines():
        if line and not line.startswith(" "):
            here = _values_of(line.strip(), resources)
        elif here is not None and (value := _VALUE.fullmatch(line)) is not None:
            here[value[1].lower()] = value[2] or ""
    found: dict[str, str] = {}
    for resource in resources.values():
        service = _service(resource)
        if service:
            found[service.lower()] = resource.own.get("name") or resource.own.get("type") or service
    return found


def _values_of(key: str, resources: dict[str, _Resource]) -> dict[str, str] | None:
    """Where the values of *key* go; None if they are of no use."""
    named = _KEY.fullmatch(key)
    if named is None:
        return None
    resource = resources.setdefault(named[1].lower(), _Resource())
    return resource.parameters if named[2] else resource.own


def _service(resource: _Resource) -> str:
    kind = resource.own.get("type", "").strip().lower()
    instance = resource.parameters.get("instancename", "").strip()
    if kind in _SQL and instance:
        default, before = _SQL[kind]
        return default if instance.lower() == _DEFAULT_INSTANCE else before + instance
    return resource.parameters.get("servicename", "").strip() or _FIXED.get(kind, "")
