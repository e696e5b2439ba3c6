"""What a failed unit left behind to look at: codes in words, what gates saw, its process, records of its logs."""

from collections.abc import Iterator

from rich.text import Text

from orchestrator.domain.results import EVENT, EXIT, GATE, ORPHAN
from orchestrator.domain.track import Track
from orchestrator.interfaces.clean_text import clean
from orchestrator.interfaces.theme import QUIET_STYLE


def evidence(track: Track) -> Iterator[Text]:
    """What its last result holds and its sentence does not tell, a line each."""
    result = track.result
    if result is None or track.lost:
        return
    said = clean(result.said)
    for key, told in result.evidence.items():
        if clean(told) in said:
            continue
        if key == EXIT or key.startswith((GATE, EVENT)):
            yield _line("event log" if key.startswith(EVENT) else key, told)
        elif key == ORPHAN:
            yield _line("still there", f"PID {told}")


def _line(what: str, told: str) -> Text:
    return Text(f"{what}: ", style=QUIET_STYLE).append(clean(told), style="default")
