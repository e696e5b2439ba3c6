"""When a window closes: over midnight, when clocks change, and when it has closed already."""

from datetime import datetime

import pytest

from orchestrator.domain.policy import Window
from orchestrator.domain.window import closes_at

BERLIN = "Europe/Berlin"
H = 3600.0


@pytest.mark.parametrize(
    ("now", "until", "tz", "left_s"),
    [
        ("2026-11-21T02:00:00+01:00", "05:00", BERLIN, 3 * H),
        ("2026-11-20T22:30:00+01:00", "05:00", BERLIN, 6.5 * H),
        ("2026-11-20T17:00:00+01:00", "05:00", BERLIN, 12 * H),
        ("2026-11-20T16:59:59+01:00", "05:00", BERLIN, 0.0),
        ("2026-11-21T05:00:00+01:00", "05:00", BERLIN, 0.0),
        ("2026-11-21T05:01:00+01:00", "05:00", BERLIN, 0.0),
        ("2026-11-20T23:00:00+01:00", "00:00", BERLIN, 1 * H),
        ("2026-11-21T01:00:00+00:00", "05:00", BERLIN, 3 * H),
        ("2026-11-20T21:00:00+00:00", "05:00", "Asia/Tokyo", 0.0),
        ("2026-11-20T18:00:00+00:00", "05:00", "Asia/Tokyo", 2 * H),
        # Summer time begins at 02:00 on 2026-03-29: an hour of that night is not there.
        ("2026-03-29T00:00:00+01:00", "05:00", BERLIN, 4 * H),
        ("2026-03-29T01:00:00+01:00", "02:30", BERLIN, 1.5 * H),
        # It ends at 03:00 on 2026-10-25: an hour is there twice, and the first one counts.
        ("2026-10-25T00:00:00+02:00", "05:00", BERLIN, 6 * H),
        ("2026-10-25T01:00:00+02:00", "02:30", BERLIN, 1.5 * H),
        ("2026-10-25T02:45:00+02:00", "02:30", BERLIN, 0.0),
    ],
)
def test_what_is_left_of_a_window(now: str, until: str, tz: str, left_s: float) -> None:
    began_at = datetime.fromisoformat(now).timestamp()
    assert closes_at(Window(until=until, tz=tz), began_at) - began_at == left_s


def test_a_window_closes_by_when_the_run_began_not_by_when_it_is_asked() -> None:
    window = Window(until="05:00", tz=BERLIN)
    began_at = datetime.fromisoformat("2026-11-20T22:00:00+01:00").timestamp()
    assert closes_at(window, began_at) == began_at + 7 * H
