"""`orch graph` for other programs: Mermaid and Graphviz. Arrows point from a service to what it needs.

Text from playbooks, inventories and hosts is only ever a quoted label: whatever means something to either language, or
to HTML, is written as a character reference.
"""

from collections.abc import Iterator

from orchestrator.domain.durations import spoken
from orchestrator.domain.planning.picture import Arrow, Drawn, Picture
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.graph_view import health, option_in_words, places_in_words, states_in_words

COLOURS = {"up": "#d8f0d8", "down": "#e8e0b8", "mixed": "#f6d3a8", "unknown": "#e8c8ec"}
"""Backgrounds of what was looked at; the words say the same."""
NAMED = 3
"""How many of those that could not be read are named in a label."""
MERMAID, DOT = "#", "&#"
"""How a character reference begins."""
_PLAIN = " ,:@._-+()/"


def mermaid(picture: Picture) -> str:
    """A Mermaid flowchart."""
    return "\n".join(_mermaid(picture)) + "\n"


def dot(picture: Picture) -> str:
    """A Graphviz digraph."""
    return "\n".join(_dot(picture)) + "\n"


def _mermaid(picture: Picture) -> Iterator[str]:
    ids = _ids(picture)
    yield f"%% {_referred(_title(picture), MERMAID)}"
    yield "flowchart TB"
    for drawn in picture.services:
        label = "<br>".join(_referred(line, MERMAID) for line in _label(picture, drawn))
        kinds = ["external"] * drawn.external + ["critical"] * drawn.critical
        kinds += [health(drawn.states)] if drawn.states else []
        yield f'    {ids[drawn.key]}["{label}"]'
        yield from (f"    class {ids[drawn.key]} {kind}" for kind in kinds)
    for number, arrow in enumerate(picture.arrows):
        line = "-.->" if arrow.soft else "-->"
        option = option_in_words(arrow)
        label = f'|"{_referred(option, MERMAID)}"|' if option else ""
        yield f"    {ids[arrow.service]} {line}{label} {ids[arrow.needs]}"
        if arrow.critical:
            yield f"    linkStyle {number} stroke-width:4px"
    yield "    classDef external stroke-dasharray:5 5"
    yield "    classDef critical stroke-width:4px"
    yield from (f"    classDef {name} fill:{colour},color:#000" for name, colour in COLOURS.items())


def _dot(picture: Picture) -> Iterator[str]:
    ids = _ids(picture)
    yield "digraph services {"
    yield f'    graph [rankdir=TB, fontname="sans-serif", labelloc=t, label="{_referred(_title(picture), DOT)}"]'
    yield '    node [shape=box, fontname="sans-serif", style="rounded,filled", fillcolor=white]'
    yield '    edge [fontname="sans-serif", fontsize=10]'
    for drawn in picture.services:
        label = r"\n".join(_referred(line, DOT) for line in _label(picture, drawn))
        more = [f'label="{label}"']
        more += [f'fillcolor="{COLOURS[health(drawn.states)]}"'] if drawn.states else []
        more += ['style="rounded,filled,dashed"'] if drawn.external else []
        more += ["penwidth=3"] if drawn.critical else []
        yield f"    {ids[drawn.key]} [{', '.join(more)}]"
    for arrow in picture.arrows:
        yield f"    {ids[arrow.service]} -> {ids[arrow.needs]}{_dot_options(arrow)}"
    yield "}"


def _dot_options(arrow: Arrow) -> str:
    option = option_in_words(arrow)
    said = [f'label="{_referred(option, DOT)}"'] if option else []
    said += ["style=dashed"] if arrow.soft else []
    said += ["penwidth=3"] if arrow.critical else []
    return f" [{', '.join(said)}]" if said else ""


def _ids(picture: Picture) -> dict[str, str]:
    return {drawn.key: f"s{number}" for number, drawn in enumerate(picture.services, start=1)}


def _title(picture: Picture) -> str:
    said = f"{picture.name}: a {picture.action} of all of it is estimated at {spoken(picture.expected_s)}"
    return said + " (partly guessed)" * bool(picture.guessed_share)


def _label(picture: Picture, drawn: Drawn) -> Iterator[str]:
    yield drawn.key
    yield places_in_words(drawn)
    if not drawn.external:
        yield f"{picture.action} {spoken(drawn.expected_s)}" + " (guess)" * drawn.guessed
    if drawn.states:
        yield ", ".join(states_in_words(drawn.states))
    lost = [one.unit for one in picture.not_read if one.service == drawn.key]
    if lost:
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        yield "not read: " + ", ".join(lost[:NAMED]) + more


def _referred(text: str, opening: str) -> str:
    """*text* on one line, all but ASCII letters, digits and harmless marks as references: `#34;` or `&#34;`.

    Graphviz looks for escapes in what it made of them, so a backslash is written twice there.
    """
    escaped = clean(text).replace("\\", "\\\\") if opening == DOT else clean(text)
    return "".join(
        one if one in _PLAIN or (one.isascii() and one.isalnum()) else f"{opening}{ord(one)};" for one in escaped
    )
