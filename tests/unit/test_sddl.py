"""Who may start and stop a service, from security descriptors as Windows prints them."""

import pytest

from orchestrator.domain.sddl import Rights, may_control

EVERYONE, AUTHENTICATED, INTERACTIVE, NETWORK = "S-1-1-0", "S-1-5-11", "S-1-5-4", "S-1-5-2"
SYSTEM, ADMINISTRATORS, USERS = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"
ALICE = "S-1-5-21-1004336348-1177238915-682003330-1105"
DOMAIN_ADMINS = "S-1-5-21-1004336348-1177238915-682003330-512"
ADMIN = (ALICE, ADMINISTRATORS, USERS, EVERYONE, AUTHENTICATED, NETWORK)
PLAIN = (ALICE, USERS, EVERYONE, AUTHENTICATED, NETWORK)

DEFAULT = (
    "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)"
    "S:(AU;FA;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;WD)"
)
"""What the SCM gives a new service."""
START_ONLY = "D:(A;;CCLCSWRPLORC;;;AU)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWRPWPDTLOCRRC;;;SY)"

YES, NO, UNTOLD = Rights(start=True, stop=True), Rights(start=False, stop=False), Rights(start=None, stop=None)


@pytest.mark.parametrize(
    ("sddl", "sids", "expected"),
    [
        pytest.param(DEFAULT, ADMIN, YES, id="default: administrators may"),
        pytest.param(DEFAULT, (SYSTEM,), YES, id="default: the system may"),
        pytest.param(DEFAULT, PLAIN, NO, id="default: a plain user may not"),
        pytest.param(DEFAULT, (*PLAIN, INTERACTIVE), NO, id="default: someone at the console may only look"),
        pytest.param(START_ONLY, PLAIN, Rights(start=True, stop=False), id="everybody may start, not stop"),
        pytest.param(f"O:SYG:SYD:PAI(A;;GX;;;{ALICE})", PLAIN, YES, id="generic execute; an account by its SID"),
        pytest.param("D:(A;;GA;;;AU)", PLAIN, YES, id="generic all"),
        pytest.param("D:(A;;GRGW;;;WD)", PLAIN, NO, id="generic read and write do not control"),
        pytest.param("D:(A;;0x30;;;AU)", PLAIN, YES, id="hex mask"),
        pytest.param("D:(A;;16;;;AU)", PLAIN, Rights(start=True, stop=False), id="decimal mask"),
        pytest.param("D:(A;;0x20000000;;;AU)", PLAIN, YES, id="hex mask with generic execute"),
        pytest.param("D:(D;;WP;;;AU)(A;;GA;;;BA)", ADMIN, Rights(start=True, stop=False), id="a denial first wins"),
        pytest.param("D:(A;;GA;;;BA)(D;;WP;;;AU)", ADMIN, YES, id="out of order: the first that speaks decides"),
        pytest.param("D:(A;CIIO;GA;;;AU)", PLAIN, NO, id="inherit-only says nothing of the service"),
        pytest.param("D:(A;ID;GA;;;AU)", PLAIN, YES, id="an inherited entry counts"),
        pytest.param("D:", PLAIN, NO, id="an empty DACL lets nobody in"),
        pytest.param("D:NO_ACCESS_CONTROL", PLAIN, YES, id="a null DACL lets everybody in"),
        pytest.param("O:BAG:SY", ADMIN, UNTOLD, id="no DACL in the text"),
        pytest.param(DEFAULT, (), UNTOLD, id="the account's SIDs are not known"),
        pytest.param("D:(A;;RPWP;;;DA)", (DOMAIN_ADMINS,), UNTOLD, id="domain admins, of a domain that is not named"),
        pytest.param("D:(A;;RPWP;;;DA)", PLAIN, NO, id="no domain admin of any domain"),
        pytest.param(
            "D:(D;;WP;;;DA)(A;;RPWP;;;BA)", (*ADMIN, DOMAIN_ADMINS), Rights(start=True, stop=None), id="doubt"
        ),
        pytest.param("D:(A;;RPWP;;;DA)(A;;RP;;;BA)", (*ADMIN, DOMAIN_ADMINS), Rights(start=True, stop=None), id="both"),
        pytest.param(
            "D:(A;;RPWP;;;LA)", (ALICE[:-4] + "500",), UNTOLD, id="local administrator, of an unnamed machine"
        ),
        pytest.param("D:(A;;RPWP;;;ZZ)", PLAIN, UNTOLD, id="an alias that we do not know"),
        pytest.param('D:(XA;;GX;;;AU;(@User.Title=="Lead (night)"))', PLAIN, UNTOLD, id="an entry with a condition"),
        pytest.param(
            " D:(A;;CCLCSWRPWPDTLOCRRC;;;s-1-5-11)\r\n", PLAIN, YES, id="blanks around it, a SID in small letters"
        ),
    ],
)
def test_rights(sddl: str, sids: tuple[str, ...], expected: Rights) -> None:
    assert may_control(sddl, sids) == expected


@pytest.mark.parametrize(
    "sddl",
    [
        "",
        "access denied",
        "D:(A;;RP;;;AU",
        "D:(A;;RP;;;AU))",
        "D:(A;;RP;;AU)",
        "D:(A;;RPX;;;AU)",
        "D:(A;;QQ;;;AU)",
        "D:(A;;0xZZ;;;AU)",
        "D:(A;;RP;;;nobody)",
        "D:(A;;RP;;;)",
        "D:(Q;;RP;;;AU)",
        "D:(A;x;RP;;;AU)",
        "D:WHAT(A;;RP;;;AU)",
        "D:(A;;RP;;;AU)garbage(A;;RP;;;BA)",
        "D:(A;;RP;;;AU)D:(A;;RP;;;BA)",
        "X:(A;;RP;;;AU)",
        "(A;;RP;;;AU)",
    ],
)
def test_what_is_no_descriptor_is_said_to_be_none(sddl: str) -> None:
    with pytest.raises(ValueError, match="no security descriptor"):
        may_control(sddl, PLAIN)
