"""PowerShell's wildcards, as Get-Service -Name means them."""

import pytest

from orchestrator.lab.wildcard import has_wildcards, matcher

CASES = [
    ("spooler", "Spooler", True),
    ("spool", "Spooler", False),
    ("SPOOL*", "Spooler", True),
    ("?pooler", "Spooler", True),
    ("Orders.*", "Orders.Web", True),
    ("Orders.*", "OrdersXWeb", False),
    ("svc[0-2]", "svc1", True),
    ("svc[0-2]", "svc3", False),
    ("svc[ab]", "svcB", True),
    ("svc[^a]", "svc^", True),
    ("svc`[1`]", "svc[1]", True),
    ("svc[1]", "svc[1]", False),
    ("a`*b", "a*b", True),
    ("a`*b", "axb", False),
    ("tick``", "tick`", True),
    ("open[", "open[", True),
    ("O'Brien", "o'brien", True),
    ("a.b", "axb", False),
]


@pytest.mark.parametrize(("pattern", "name", "matches"), CASES)
def test_a_pattern_means_what_powershell_means(pattern: str, name: str, matches: bool) -> None:
    assert bool(matcher(pattern).fullmatch(name)) is matches


@pytest.mark.parametrize(("pattern", "has"), [("a", False), ("a`*", False), ("a*", True), ("[a]", True), ("``*", True)])
def test_an_escaped_wildcard_is_none(pattern: str, has: bool) -> None:
    assert has_wildcards(pattern) is has
