"""`orch graph` drawn: lanes that lead where they say, any width, and no text that becomes markup or code."""

import io
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.domain.plan import Action
from orchestrator.domain.planning.picture import Arrow, Drawn, NotRead, Picture
from orchestrator.interfaces.graph_markup import dot, mermaid
from orchestrator.interfaces.graph_view import MOST_NOT_READ, render

NASTY = (
    '"]; x[[b] <script>alert(1)</script> %%{init: {}}%% [red]r[/] \\N `q` #quot; &lt; \x1b[31m\u202e a\nb'
    " --> {{'\u00e9'}}"
)


def arrow(service: str, needs: str, **options: Any) -> Arrow:
    given = {"need": None, "of": 2, "same_host": False, "soft": False, "critical": False} | options
    return Arrow(service=service, needs=needs, **given)


def one(key: str, wave: int, **options: Any) -> Drawn:
    given: dict[str, Any] = {
        "hosts": ("h-1", "h-2"), "external": False, "gates": (), "critical": False, "expected_s": 2.0, "guessed": False,
        "states": None,
    }  # fmt: skip
    return Drawn(key=key, wave=wave, **(given | options))


def made(*services: Drawn, arrows: tuple[Arrow, ...] = (), **options: Any) -> Picture:
    given: dict[str, Any] = {
        "name": "shop", "action": Action.START, "critical_path": tuple(each.key for each in services if each.critical),
        "expected_s": 9.0, "guessed_share": 0.0, "not_read": (),
    }  # fmt: skip
    return Picture(services=services, arrows=arrows, **(given | options))


SHOP = made(
    one("dc", 1, external=True, hosts=(), gates=("tcp",), expected_s=0.0),
    one("sql", 2, critical=True, states={"Running": 5, "Stopped": 1}),
    one("cache", 2, states={"Stopped": 2}),
    one("web", 3, critical=True, guessed=True, gates=("http", "tcp"), states={"Running": 1, "unknown": 1}),
    one("batch", 3, states={"Running": 2}),
    arrows=(
        arrow("sql", "dc"),
        arrow("web", "sql", critical=True),
        arrow("web", "cache", need=1),
        arrow("batch", "cache", same_host=True, soft=True),
    ),
    guessed_share=0.5,
    not_read=(NotRead("web@h-2", "web", "gave no answer"),),
)


def drawn(picture: Picture, width: int = 120, *, ascii_only: bool = False) -> list[str]:
    paper = io.TextIOWrapper(io.BytesIO(), encoding="ascii" if ascii_only else "utf-8")
    console = Console(file=paper, width=width, markup=False, highlight=False)
    console.print(render(picture, console))
    paper.seek(0)
    return [line.rstrip() for line in paper.read().splitlines()]


def test_the_whole_picture() -> None:
    assert drawn(SHOP) == [
        "shop: 5 services on 2 hosts, in the order of a start",
        "",
        "     service  hosts  waits for                      live                      gates      takes",
        "○    dc                                                                       tcp        external",
        "│",
        "◆    sql          2  dc                             Running 5/6, Stopped 1/6             2.0 s",
        "│ ●  cache        2                                 Stopped 2                            2.0 s",
        "│ │",
        "◆─┤  web          2  sql, cache (1 of 2)            Running 1/2, unknown 1/2  http, tcp  2.0 s ?",
        "  ●  batch        2  cache (same host, order only)  Running 2                            2.0 s",
        "",
        "◆ critical path: sql 2.0 s → web 2.0 s ?",
        "○ external: its gates are probed, it is never acted on",
        "a start of all of it is estimated at 9.0 s, limits and order included; ? is a quarter of the timeout, a guess"
        " (50% of",
        "the work)",
        "! web@h-2: gave no answer",
    ]


def test_ascii_terminals_get_ascii() -> None:
    lines = drawn(SHOP, ascii_only=True)
    assert all(line.isascii() for line in lines)
    assert "#-+  web" in "\n".join(lines)


def test_a_stop_is_drawn_from_above() -> None:
    upside = made(
        one("web", 1), one("sql", 2), arrows=(arrow("web", "sql", need=1),), action=Action.STOP, critical_path=("web",)
    )
    assert [line.split("  ")[0] for line in drawn(upside)[3:6]] == ["●", "│", "●"]
    assert "sql" in drawn(upside)[5]
    assert "web" in drawn(upside)[5].split("2", 1)[1]
    assert "1 of" not in "\n".join(drawn(upside)), "a stop waits for all"


def test_where_it_gets_narrow_the_names_stay() -> None:
    many = tuple(
        one(f"service-{number}", number, gates=("http", "service"), states={"Running": 2}) for number in range(1, 31)
    )
    arrows = tuple(arrow(f"service-{a}", f"service-{b}", need=1) for a in range(2, 31) for b in range(max(1, a - 8), a))
    for width in (60, 80, 100, 160):
        lines = drawn(made(*many, arrows=arrows), width)
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert all(f" service-{number} " in text for number in range(1, 31))
        assert ("gates" in lines[2]) == (width > 80)


def test_many_that_were_not_read_are_counted() -> None:
    lost = tuple(NotRead(f"web@h-{number}", "web", "gone") for number in range(MOST_NOT_READ + 5))
    lines = drawn(made(one("web", 1), not_read=lost))
    assert sum(line.endswith("gone") for line in lines) == MOST_NOT_READ
    assert lines[-1] == "! 5 more could not be read: `orch status` names them all"


def followed(lines: list[str]) -> set[tuple[str, str]]:
    """Who is connected with whom, read from the lanes alone: (later, sooner)."""
    lanes: dict[int, str] = {}
    found = set()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        text, _, name = line.partition("service-")
        if not name:
            continue
        key = f"service-{name.split()[0]}"
        mine = next(place for place, mark in enumerate(text) if mark in "◆●○")
        ends = {place: mark for place, mark in enumerate(text) if mark in "├┤┼╰╯┴"}
        found |= {(key, lanes[place]) for place in ends}
        found |= {(key, lanes.pop(mine))} if mine in lanes else set()
        for place in [place for place, mark in ends.items() if mark in "╰╯┴"]:
            del lanes[place]
        if below[mine : mine + 1] == "│":
            lanes[mine] = key
    assert not lanes
    return found


@st.composite
def graphs(draw: st.DrawFn) -> Picture:
    """Any graph of up to nine services, each in a wave of its own."""
    count = draw(st.integers(1, 9))
    pairs = [(later, sooner) for later in range(count) for sooner in range(later)]
    chosen = draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    services = [one(f"service-{number}", number + 1) for number in range(count)]
    arrows = [arrow(f"service-{later}", f"service-{sooner}") for later, sooner in sorted(chosen)]
    return made(*services, arrows=tuple(arrows))


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_lanes_lead_to_what_is_waited_for_and_nowhere_else(picture: Picture) -> None:
    lines = drawn(picture, 300)[3:]
    lines = lines[: next(number for number, line in enumerate(lines) if line.startswith("a start of all")) - 1]
    assert followed(lines) == {(each.service, each.needs) for each in picture.arrows}


# Markup

NASTY_SHOP = made(
    one(NASTY, 1, critical=True, states={NASTY: 1, "unknown": 1}),
    one("web", 2, external=True),
    arrows=(arrow("web", NASTY, need=1),),
    name=NASTY,
    not_read=(NotRead(NASTY, NASTY, NASTY),),
)
NODE = re.compile(r'    s\d+\["[\w ,:@.()/+#;<>-]*"\]')


def test_mermaid_of_a_playbook() -> None:
    assert mermaid(SHOP).splitlines() == [
        "%% shop: a start of all of it is estimated at 9.0 s (partly guessed)",
        "flowchart TB",
        '    s1["dc<br>external"]',
        "    class s1 external",
        '    s2["sql<br>2 hosts<br>start 2.0 s<br>Running 5/6, Stopped 1/6"]',
        "    class s2 critical",
        "    class s2 mixed",
        '    s3["cache<br>2 hosts<br>start 2.0 s<br>Stopped 2"]',
        "    class s3 down",
        '    s4["web<br>2 hosts<br>start 2.0 s (guess)<br>Running 1/2, unknown 1/2<br>not read: web@h-2"]',
        "    class s4 critical",
        "    class s4 unknown",
        '    s5["batch<br>2 hosts<br>start 2.0 s<br>Running 2"]',
        "    class s5 up",
        "    s2 --> s1",
        "    s4 --> s2",
        "    linkStyle 1 stroke-width:4px",
        '    s4 -->|"1 of 2"| s3',
        '    s5 -.->|"same host, order only"| s3',
        *mermaid(made(one("a", 1))).splitlines()[3:],
    ]


def test_nothing_in_mermaid_can_be_more_than_a_label() -> None:
    lines = mermaid(NASTY_SHOP).splitlines()
    assert len(lines) == len(mermaid(made(one("a", 1))).splitlines()) + 5
    assert re.fullmatch(r"%% [\w ,:@.()/+#;-]*", lines[0])
    for line in lines[2:]:
        if '["' in line:
            assert NODE.fullmatch(line)
            assert set(re.findall(r"<.*?>", line)) == {"<br>"}
    assert "%%{" not in "\n".join(lines)


def test_nothing_in_dot_can_be_more_than_a_label() -> None:
    assert all(line.isascii() for line in dot(NASTY_SHOP).splitlines())
    for said in re.findall(r'"([^"]*)"', dot(NASTY_SHOP)):
        assert not re.search(r"[<>\\{}\[\]|]", said.replace(r"\n", ""))
    assert len(dot(NASTY_SHOP).splitlines()) == 8


def test_dot_of_a_playbook() -> None:
    lines = dot(SHOP).splitlines()
    assert '    s1 [label="dc\\nexternal", style="rounded,filled,dashed"]' in lines
    assert "    s4 -> s2 [penwidth=3]" in lines
    assert '    s4 -> s3 [label="1 of 2"]' in lines
    assert '    s5 -> s3 [label="same host, order only", style=dashed]' in lines
