"""What a group of invariants looks like to the checker."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from course import Course
from staging import Json

Test = Callable[[str, Any, int, str], None]
"""Count a test of an invariant: its name, whether it holds, the log entry, and what is wrong if it does not."""


class Rule:
    """A group of invariants. It hears of every entry in order; of facts before and after they are folded in."""

    NAMES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        self.test = test
        self.courses = courses

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """A fact is about to be folded in."""

    def after(self, course: Course, fact: Json, entry: Json) -> None:
        """A fact was folded in."""

    def see(self, entry: Json) -> None:
        """Something else happened."""

    def close(self, entries: Sequence[Json]) -> None:
        """The night is over."""
