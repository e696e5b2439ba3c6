"""What reg.exe prints of a failover cluster, read by positions and untranslated names alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.cluster import clustered, roles

KEY = "HKEY_LOCAL_MACHINE\\Cluster\\Resources"
PRINTED = f"""
{KEY}
    NextId    REG_DWORD    0x7

{KEY}\\1b2c
    Type    REG_SZ    Generic Service
    Name    REG_SZ    Orders of the shop
    Flags    REG_DWORD    0x0
    PossibleOwners    REG_MULTI_SZ    1\\02

{KEY}\\1b2c\\Parameters
    ServiceName    REG_SZ    Orders.Api
    StartupParameters    REG_SZ
    UseNetworkName    REG_DWORD    0x1

{KEY}\\7a
    Name    REG_SZ    SQL Server (PAY  ROLL)
    Type    REG_SZ    SQL Server

{KEY}\\7a\\Parameters
    VirtualServerName    REG_SZ    SQLCLU
    InstanceName    REG_SZ    PAYROLL

{KEY}\\7b
    Type    REG_SZ    SQL Server Agent

{KEY}\\7b\\Parameters
    InstanceName    REG_SZ    MSSQLSERVER

{KEY}\\7c
    Type    REG_SZ    sql server
    Name    REG_SZ    SQL Server

{KEY}\\7c\\parameters
    InstanceName    REG_SZ    mssqlserver

{KEY}\\90
    Type    REG_SZ    IP Address
    Name    REG_SZ    Cluster IP Address

{KEY}\\90\\Parameters
    Address    REG_SZ    192.0.2.1

{KEY}\\91
    Type    REG_SZ    DHCP Service
    Name    REG_SZ    Leases

{KEY}\\1b2c\\Parameters\\Deeper
    ServiceName    REG_SZ    NotThis

"""
OWNED = {
    "orders.api": "Orders of the shop",
    "mssql$payroll": "SQL Server (PAY  ROLL)",
    "sqlserveragent": "SQL Server Agent",
    "mssqlserver": "SQL Server",
    "dhcpserver": "Leases",
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_resources_lead_to_services(end: str) -> None:
    assert clustered(PRINTED.replace("\n", end)) == OWNED


GROUPS = """
HKEY_LOCAL_MACHINE\\Cluster\\Groups
    Default    REG_DWORD    0x1

HKEY_LOCAL_MACHINE\\Cluster\\Groups\\a1
    Name    REG_SZ    The shop
    Contains    REG_MULTI_SZ    90\\01B2C

HKEY_LOCAL_MACHINE\\Cluster\\Groups\\a2
    Contains    REG_MULTI_SZ    7a
    Name    REG_SZ    SQL Server (PAYROLL)

HKEY_LOCAL_MACHINE\\Cluster\\Groups\\a2\\Parameters
    Name    REG_SZ    Not this
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_groups_lead_to_the_roles_of_services(end: str) -> None:
    printed, groups = PRINTED.replace("\n", end), GROUPS.replace("\n", end)
    assert roles(printed, groups) == {"orders.api": "The shop", "mssql$payroll": "SQL Server (PAYROLL)"}
    assert roles(printed, "") == roles("", groups) == {}


def test_what_is_no_list_of_resources_owns_nothing() -> None:
    assert clustered("") == {}
    assert clustered("ERROR: The system was unable to find the specified registry key or value.") == {}
    assert clustered("    ServiceName    REG_SZ    Orders") == {}


def test_a_list_that_is_cut_short_names_nothing_that_is_not_there() -> None:
    lines = PRINTED.splitlines(keepends=True)
    for cut in range(len(lines)):
        assert clustered("".join(lines[:cut])).keys() <= OWNED.keys()


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    clustered(text)
