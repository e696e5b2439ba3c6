"""Names with ranges and ports."""

import pytest

from orchestrator.domain.inventory.ranges import MOST_NAMES, expand


@pytest.mark.parametrize(
    ("entry", "names", "port"),
    [
        ("web-01", ["web-01"], None),
        ("web[01:03]", ["web01", "web02", "web03"], None),
        ("web[8:11]", ["web8", "web9", "web10", "web11"], None),
        ("web[:2]", ["web0", "web1", "web2"], None),
        ("n[0:10:5].example.org", ["n0.example.org", "n5.example.org", "n10.example.org"], None),
        ("db-[a:c]", ["db-a", "db-b", "db-c"], None),
        ("db-[y:B]", ["db-y", "db-z", "db-A", "db-B"], None),
        ("r[1:2]-[a:b]", ["r1-a", "r1-b", "r2-a", "r2-b"], None),
        ("web:8080", ["web"], 8080),
        ("web[1:2]:5985", ["web1", "web2"], 5985),
        ("10.0.0.[1:2]", ["10.0.0.1", "10.0.0.2"], None),
        ("fe80::1", ["fe80::1"], None),
        ("[fe80::1]:5986", ["fe80::1"], 5986),
        ("[web]:22", ["web"], 22),
    ],
)
def test_an_entry_stands_for_names(entry: str, names: list[str], port: int | None) -> None:
    found, found_port = expand(entry)
    assert (list(found), found_port) == (names, port)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("web[5:3]", "5 comes after 3"),
        ("web[01:100]", "same number of digits"),
        ("web[1:]", "no range"),
        ("web[1]", "no range"),
        ("web[1:2:0]", "step"),
        ("web[1:2:-1]", "step"),
        ("web[a:9]", "neither from number to number"),
        ("web[aa:cc]", "neither from number to number"),
        ("web[1:3", "bracket without its other half"),
        ("web]1:3[", "bracket without its other half"),
        ("web:0", "no port"),
        ("web:99999", "no port"),
        ("my host", "no host name"),
        ("orders@web", "no host name"),
        ("", "no host name"),
        ("web/../x", "no host name"),
        ("web[0:999999999999]", "stands for"),
        ("w[0:9999]-[0:9999]-[0:9999]", f"at most {MOST_NAMES}"),
    ],
)
def test_what_is_no_name_says_why(entry: str, said: str) -> None:
    with pytest.raises(ValueError, match="(?s).*" + said):
        expand(entry)
