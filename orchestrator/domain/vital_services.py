"""Services that a run should keep its hands off: those that carry our own connection, and those that everybody needs.

Names are SCM names, which Windows never translates; they are compared without case. Source of what needs what: the
dependencies that Windows ships with (`sc.exe qc NAME`), and what signing in and the two wires use.
"""

from collections.abc import Mapping

from orchestrator.domain.connection import Transport

CLUSTER_SERVICE = "ClusSvc"
"""A host on which it runs is a node of a failover cluster."""

ALWAYS: Mapping[str, str] = {
    "RpcSs": "every request to the service control manager goes through it",
    "RpcEptMapper": "RpcSs needs it",
    "DcomLaunch": "RpcSs needs it, and it starts and watches other services",
    "LSM": "it opens the session of everybody who signs in",
    "SamSs": "it has the accounts: without it nobody signs in",
    "KeyIso": "it has the private keys that TLS and sign-in use",
    "Netlogon": "domain accounts sign in through it",
    "LanmanWorkstation": "Netlogon needs it",
    "ProfSvc": "it loads the profile of everybody who signs in",
    "EventLog": "WinRM, the firewall and others do not start without it",
    "BFE": "it filters all traffic: without it firewall and IPsec rules are gone",
    "MpsSvc": "it is the firewall: without it Windows lets nothing in",
    "NlaSvc": "it tells the network's kind: without it the firewall may close",
    "netprofm": "it tells the network's kind: without it the firewall may close",
    "nsi": "the network's interfaces are known by it",
    "Dhcp": "it holds the host's address",
    "Dnscache": "the host finds its domain by it",
    "Tcpip": "it is the network",
    "AFD": "it is the network's sockets",
}
"""What carries our connection over either wire, and how."""
OF_WIRE: Mapping[Transport, Mapping[str, str]] = {
    Transport.PSRP: {"WinRM": "it is what answers us", "HTTP": "WinRM listens by it"},
    Transport.SSH: {"sshd": "it is what answers us"},
}
"""The same, of one wire alone."""

EVERYBODY: Mapping[str, str] = {
    "NTDS": "Active Directory: the accounts of the whole domain",
    "Kdc": "Kerberos: the tickets of the whole domain",
    "DNS": "a DNS server: others find nothing by name",
    "DHCPServer": "a DHCP server: others get no address",
    "IAS": "a RADIUS server: nobody gets into VPN, Wi-Fi or 802.1X networks",
    CLUSTER_SERVICE: "the failover cluster's own service: the node leaves its cluster, and its roles move",
}
"""What others beyond a playbook are likely to need, and what it is."""


def carriers(transport: Transport | None) -> Mapping[str, str]:
    """What carries a connection over *transport* (None: any), by name in lower case: how it does. O(1)."""
    return _CARRIERS[transport]


def needed_by_everybody(name: str) -> str:
    """What the service *name* is for others; "" if it is nothing of that kind."""
    return _EVERYBODY.get(name.lower(), "")


def _lower(*tables: Mapping[str, str]) -> Mapping[str, str]:
    return {name.lower(): why for table in tables for name, why in table.items()}


_CARRIERS: dict[Transport | None, Mapping[str, str]] = {wire: _lower(ALWAYS, own) for wire, own in OF_WIRE.items()}
_CARRIERS[None] = _lower(ALWAYS, *OF_WIRE.values())
_EVERYBODY = _lower(EVERYBODY)
