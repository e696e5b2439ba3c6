"""Locks and leases: two runs never hold the same unit, and a run that waits keeps what it holds."""

from course import Course
from rule import Rule, Test
from staging import Json


class Locks(Rule):
    """locks: no run begins while another that is open holds one of its units. parked locks: not even a parked one.
    lease: epochs rise, and a run that lives is not taken over."""

    NAMES = ("locks", "parked locks", "lease")

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.living: dict[int, str] = {}
        self.asleep: set[int] = set()

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] == "run_began":
            mine = _keys(course)
            for other in self.courses.values():
                if other is course or other.ended is not None or mine.isdisjoint(_keys(other)):
                    continue
                said = f"{course.run} begins while {other.run} holds {sorted(mine & _keys(other))}"
                self.test("parked locks" if other.parked else "locks", False, entry["n"], said)
        elif fact["kind"] == "run_resumed":
            last = course.resumed[-1]["epoch"] if course.resumed else 1
            self.test("lease", fact["epoch"] > last, entry["n"], f"epoch {fact['epoch']} follows {last}")
            alive = [by for by, run in self.living.items() if run == course.run and by != entry["by"]]
            awake = [by for by in alive if by not in self.asleep]
            self.test("lease", not awake, entry["n"], f"{course.run} is taken over from {awake}, which live")

    def see(self, entry: Json) -> None:
        """See Rule."""
        if entry["what"] == "process":
            self._process(entry)
        elif entry["what"] == "store" and entry["did"] == "take" and entry["no"] == "Locked":
            parked = any(course.parked and course.ended is None for course in self.courses.values())
            self.test("parked locks" if parked else "locks", True, entry["n"], "")

    def _process(self, entry: Json) -> None:
        by = entry["by"]
        if entry["did"] == "started":
            self.living[by] = entry["run"]
        elif entry["did"] == "frozen":
            self.asleep.add(by)
        elif entry["did"] in ("killed", "ended", "failed"):
            self.living.pop(by, None)


def _keys(course: Course) -> set[str]:
    """The Windows services that a run may act on."""
    stages = [*course.plan["stages"], *course.plan["back"]]
    units = [node["unit"] for stage in stages for node in stage["nodes"] if node["role"] == "act"]
    return {f"{unit['scm_name']}@{unit['host']}".casefold() for unit in units}
