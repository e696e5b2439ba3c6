"""Hosts that differ by their address alone are checked once: nobody may be able to tell."""

import json
from collections.abc import Mapping
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.adapters.documents import yaml_nodes
from orchestrator.adapters.templates.renderer import Renderer
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import Gathered, Mistake, Mistakes
from orchestrator.domain.inventory.connecting import connect
from orchestrator.domain.inventory.merging import merge
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.reach import Reach
from orchestrator.domain.inventory.reading import declare
from orchestrator.domain.inventory.rendering import Rendered

TEXTS = (
    "plain", "10.0.0.7", "fe80::1", "no address", "", "{{ rack }}", "{{ rack | default('none') }}",
    "{{ ansible_host }}", "{{ inventory_hostname }}", "{{ site }}", "{{ secret('env:PW') }}", "{{ nowhere }}",
    "psrp,ssh",
)  # fmt: skip
NAMES = (
    "ansible_host", "ansible_user", "ansible_password", "ansible_psrp_host", "ansible_nonsense", "orch_transports",
    "rack", "site",
)  # fmt: skip
VARIABLES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TEXTS) | st.integers(0, 9), max_size=4)


def inventory(groups: list[dict[str, object]], hosts: list[tuple[int, dict[str, object]]]) -> Inventory:
    """Groups with their variables, and hosts `h0`, `h1`, ... in one group each, with theirs."""
    tree = {
        f"g{number}": {
            "vars": shared,
            "hosts": {f"h{index}": own for index, (group, own) in enumerate(hosts) if group % len(groups) == number},
        }
        for number, shared in enumerate(groups)
    }
    return merge(declare(yaml_nodes.parse(json.dumps(tree).encode(), "i")), {}, {})


@given(
    st.lists(VARIABLES, min_size=1, max_size=2),
    st.lists(st.tuples(st.integers(0, 1), VARIABLES), min_size=1, max_size=6),
)
@example([{"ansible_user": "{{ inventory_hostname }}"}], [(0, {}), (0, {})])
@example([{"ansible_user": "{{ rack | default('none') }}"}], [(0, {}), (0, {"rack": "r1"})])
@example([{"ansible_psrp_host": "10.0.0.7"}], [(0, {}), (0, {"ansible_host": "plain"})])
@example([{}], [(0, {}), (0, {"ansible_host": "no address"})])
@example([{}], [(0, {}), (0, {"ansible_host": "{{ rack }}", "rack": "r1"})])
@example([{}], [(0, {}), (0, {"ansible_user": "me"})])
def test_every_host_is_reached_as_if_it_were_alone(
    groups: list[dict[str, object]], hosts: list[tuple[int, dict[str, object]]]
) -> None:
    everyone = inventory(groups, hosts)
    alone: dict[str, tuple[Connection, ...]] = {}
    gathered = Gathered()
    for name, host in everyone.hosts.items():
        made = gathered.value(partial(connect, Rendered(host, Renderer())))
        alone[name] = made or (Connection(host=name, address=name, port=0),)
    reach = Reach(everyone, Renderer())
    assert {name: reach.address_of(name) for name in everyone.hosts} == {
        name: ways[0].address for name, ways in alone.items()
    }
    assert reach.made == alone
    assert _mistakes(reach) == _mistakes(gathered)


def _mistakes(kept: Reach | Gathered) -> tuple[Mistake, ...]:
    try:
        kept.check()
    except Mistakes as found:
        return found.mistakes
    return ()


@pytest.mark.parametrize(
    ("shared", "own", "compiled"),
    [
        ({"ansible_user": "{{ site }}", "site": "x"}, {"ansible_host": "10.0.0.1", "rack": "r1"}, 1),
        ({"ansible_user": "{{ rack }}"}, {"ansible_host": "10.0.0.1", "rack": "r1"}, 20),
    ],
    ids=["shared", "leans on each host"],
)
def test_what_hosts_share_is_rendered_once(shared: dict[str, object], own: dict[str, object], compiled: int) -> None:
    everyone = inventory([shared], [(0, own)] * 20)
    render, rendered = Renderer(), []

    def counted(text: str, context: Mapping[str, object]) -> object:
        rendered.append(text)
        return render(text, context)

    reach = Reach(everyone, counted)
    for name in everyone.hosts:
        reach.address_of(name)
    assert len(rendered) == compiled


def test_hosts_with_several_ways_that_differ_by_their_address_alone() -> None:
    shared: dict[str, object] = {"orch_transports": ["ssh", "psrp"], "ansible_port": 2222}
    hosts: list[tuple[int, dict[str, object]]] = [
        (0, {"ansible_host": "10.0.0.1"}),
        (0, {"ansible_host": "10.0.0.2"}),
        (0, {"orch_control": "sc"}),
    ]
    reach = Reach(inventory([shared], hosts), Renderer())
    told = {
        name: [(str(w.transport), w.address, w.port, str(w.control)) for w in reach.all()[name]] for name in reach.all()
    }
    assert told == {
        "h0": [("ssh", "10.0.0.1", 2222, "powershell"), ("psrp", "10.0.0.1", 5986, "powershell")],
        "h1": [("ssh", "10.0.0.2", 2222, "powershell"), ("psrp", "10.0.0.2", 5986, "powershell")],
        "h2": [("ssh", "h2", 2222, "sc"), ("psrp", "h2", 5986, "sc")],
    }


def test_the_password_that_is_typed_is_for_every_way_without_one() -> None:
    shared: dict[str, object] = {"orch_transports": "psrp,ssh", "ansible_ssh_pass": "own"}
    reach = Reach(inventory([shared], [(0, {})]), Renderer(), ask=True)
    psrp, ssh = reach.all()["h0"]
    assert psrp.password is not None
    assert ssh.password is not None
    assert (psrp.password.named, ssh.password.named) == ("{ask:password}", "a password in the inventory")
