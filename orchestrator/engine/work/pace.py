"""When to look again: polls that the services of one host share, and the pauses between tries.

Numbers only; nothing here waits.
"""

import hashlib
import math
from dataclasses import dataclass

FIRST_LOOK_S = 0.25
LONGEST_PAUSE_S = 15.0
TICK_S = 0.001
"""Timers may fire a hair early: two times less than this apart are the same."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The rhythm of one host. `poll_s` is the plan's period for services that are on their way.

    Looks fall on a grid of the loop's clock that is the host's own: services of one host are read together, and the
    hosts of a fleet one after the other instead of all at the same instant.
    """

    host: str
    poll_s: float

    def next_look_s(self, now_s: float, looks: int) -> float:
        """The clock's time of the next look, when *looks* were made since the service was last asked something.

        A read costs the controller some 4 ms of CPU. Most services take well under a second, so the first looks come
        quickly: after about 0.25 s, 0.5 s, 1 s, and then every `poll_s`. With the default of 2 s that is three reads
        (12 ms) more per control, against 2 ms per second and host for as long as anything is pending: 500 hosts that
        all wait keep one core busy, and quick looks add nothing to that once the first second is over. The grids of
        0.25, 0.5, 1 and 2 s lie in one another, so a quick service's looks serve the slow ones beside it.
        """
        step_s = min(FIRST_LOOK_S * (1 << min(looks, 32)), self.poll_s)
        phase_s = share(self.host) * self.poll_s
        return phase_s + math.ceil((now_s + step_s / 2 - phase_s) / step_s) * step_s

    def pause_s(self, attempt: int) -> float:
        """How long to wait after the *attempt*-th failure in a row (from 1): 1, 2, 4 ... at most 15 seconds.

        Up to a fifth is taken off by a hash of host and attempt. The hash is the host's and not the step's, so that
        the steps of a host that came back ask again in one exchange, and a fleet does not ask all at once.
        """
        longest_s = min(float(1 << min(attempt - 1, 32)), LONGEST_PAUSE_S)
        return longest_s * (1 - share(self.host, str(attempt)) / 5)


def share(*words: str) -> float:
    """A number from 0 up to 1 that depends on the words alone, the same in every process."""
    digest = hashlib.blake2b("/".join(words).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
