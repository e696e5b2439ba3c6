"""Which services of a host belong to a failover cluster, as its registry has it.

Such a service must not be moved through the service control manager: the cluster takes that for a failure and starts it
again, or moves it to another node. Its resources stand under RESOURCES, the same on every node and in no language.
"""

import re
from dataclasses import dataclass, field

RESOURCES = "HKLM\\Cluster\\Resources"
"""What `reg.exe query RESOURCES /s` prints is read here, and with `/v VALUE`, one text for all VALUES."""
GROUPS = "HKLM\\Cluster\\Groups"
"""What `reg.exe query GROUPS /s` prints tells which role a resource belongs to."""
VALUES = ("Type", "Name", "ServiceName", "InstanceName")
_KEY = re.compile(r"HKEY_LOCAL_MACHINE\\Cluster\\Resources\\([^\\]+)(\\Parameters)?", re.IGNORECASE)
_GROUP = re.compile(r"HKEY_LOCAL_MACHINE\\Cluster\\Groups\\[^\\]+", re.IGNORECASE)
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
    resources = _resources(printed)
    found: dict[str, str] = {}
    for resource in resources.values():
        service = _service(resource)
        if service:
            found[service.lower()] = resource.own.get("name") or resource.own.get("type") or service
    return found


def roles(printed: str, groups: str) -> dict[str, str]:
    """SCM name in lower case -> the role that its resource belongs to, as far as *groups* tells; *printed* as above."""
    of_resource: dict[str, str] = {}
    for values in _groups(groups):
        of_resource |= dict.fromkeys(values.get("contains", "").lower().split("\\0"), values.get("name", ""))
    found = ((_service(one).lower(), of_resource.get(id, "")) for id, one in _resources(printed).items())
    return {service: role for service, role in found if service and role}


def _groups(printed: str) -> list[dict[str, str]]:
    groups: list[dict[str, str]] = []
    here: dict[str, str] | None = None
    for line in printed.splitlines():
        if line and not line.startswith(" "):
            here = {} if _GROUP.fullmatch(line.strip()) else None
            groups += [] if here is None else [here]
        elif here is not None and (value := _VALUE.fullmatch(line)) is not None:
            here[value[1].lower()] = value[2] or ""
    return groups


def _resources(printed: str) -> dict[str, _Resource]:
    resources: dict[str, _Resource] = {}
    here: dict[str, str] | None = None
    for line in printed.splitlines():
        if line and not line.startswith(" "):
            here = _values_of(line.strip(), resources)
        elif here is not None and (value := _VALUE.fullmatch(line)) is not None:
            here[value[1].lower()] = value[2] or ""
    return resources


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
