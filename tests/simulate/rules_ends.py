"""How runs end: what the verdict claims, and what the fleet looks like."""

from collections.abc import Sequence

from course import ACTS, BRINGS, RUN, Course
from rule import Rule, Test
from staging import Json

EXIT_CODES = {"done": 0, "failed": 1, "closed": 1, "rolled back": 3, "rollback incomplete": 4, "cancelled": 5}
DOWN = ("Stopped", "StopPending")
HELD = ("Paused", "PausePending")


class Ends(Rule):
    """explained: the verdict follows from the facts. last reading: what was touched is read before the end. one end:
    a run ends once, and nothing follows. exit code: it is the verdict's. rolled back: every touched unit was read
    where the snapshot had it. named: after a way back, what is not there is named. told: what the process says is
    what its journal says. open: a process leaves its run ended or parked, unless it was killed or lost it. comes to an
    end: with people who answer, every run ends."""

    NAMES = (
        "explained",
        "last reading",
        "one end",
        "exit code",
        "rolled back",
        "named",
        "told",
        "open",
        "comes to an end",
    )

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.run_of: dict[int, str] = {}
        self.wrote_last: dict[int, str] = {}
        """By process: the last fact that it wrote."""
        self.told: dict[tuple[str, str, str], str] = {}
        """Run, host, service -> what the fleet last told this run of it."""

    def see(self, entry: Json) -> None:
        """See Rule."""
        if entry["what"] == "process":
            if entry["did"] == "started":
                self.run_of[entry["by"]] = entry["run"]
            elif entry["did"] == "ended":
                self._left(entry)
        elif entry["what"] == "call" and entry["verb"] == "read" and entry["told"] == "ok":
            run = self.run_of[entry["by"]]
            for service, state in entry["states"].items():
                self.told[run, entry["host"], service] = state

    def _left(self, entry: Json) -> None:
        """A process is over that says how its run stands."""
        course = self.courses.get(self.run_of[entry["by"]])
        if course is None:
            return
        said = f"the process says {entry['said']}; its journal does not"
        if entry["said"] == "parked":
            self.test("told", entry["exit_code"] == 6, entry["n"], said)
            parked = self.wrote_last.get(entry["by"]) == "run_parked"
            self.test("open", parked, entry["n"], f"{course.run} is neither parked nor ended by {entry['by']}")
        else:
            self.test("told", course.ended and course.ended["verdict"] == entry["said"], entry["n"], said)

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        self.test("one end", course.ended is None, entry["n"], f"{fact['kind']} follows the end of {course.run}")

    def after(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        self.wrote_last[entry["by"]] = fact["kind"]
        if fact["kind"] != "run_ended":
            return
        verdict, at = fact["verdict"], entry["n"]
        hands = verdict == "cancelled" and (fact["counts"].get("not undone") or _undo_failed(course))
        code = 4 if hands else EXIT_CODES.get(verdict)
        self.test("exit code", code == fact["exit_code"], at, f"{verdict} is {fact['exit_code']}")
        if verdict == "closed":
            return
        self.test("explained", not course.under_way, at, f"it ends while {sorted(course.under_way)} are under way")
        self.test("explained", _explained(course, verdict), at, f"nothing on record makes it {verdict}")
        for unit in course.touched:
            self.test("last reading", _last_look(course, unit), at, f"{unit} was acted on and not read before the end")
        before = self.courses.get(course.began["of"])
        if course.rollback is not None or before is not None:
            self._rolled_back(course, before or course, verdict, at)

    def _rolled_back(self, course: Course, before: Course, verdict: str, at: int) -> None:
        """Whether *course* put back what *before*, the same run or the one that it rolls back, had touched."""
        named = _named(course)
        for unit in [unit for unit in before.touched if unit in course.units]:
            of = course.units[unit]
            acted = any(unit == node["unit"]["id"] for node in _back(course) if node["role"] != "pass")
            told = self.told.get((course.run, of["host"], of["scm_name"]), "")
            found = _last_found(course, unit) if acted or before is course else told
            home = _as_before(before.units[unit], found)
            if verdict == "rolled back":
                said = f"the last stop of {unit} left its process behind"
                self.test("rolled back", not _left_behind(course, unit), at, said)
                self.test("rolled back", home, at, f"{unit} is {found or 'unread'}, and was another before")
            if not home:
                self.test("named", unit in named, at, f"{unit} is {found or 'unread'} after the way back and not named")

    def close(self, entries: Sequence[Json]) -> None:
        """See Rule."""
        for course in self.courses.values():
            self.test("comes to an end", course.ended, len(entries), f"the night is over and {course.run} is open")


def _explained(course: Course, verdict: str) -> bool:
    forward = course.stages[: course.forward]
    whole = all(_whole(course, number) for number in range(len(forward)))
    aborted = [one["cause"]["kind"] for one in course.decisions.values() if one["answer"] == "abort"]
    if verdict == "done":
        return whole and not course.strayed and course.rollback is None and not _troubled(course)
    if verdict == "cancelled":
        return (
            "cancel" in course.orders
            or not {"approval", "pause"}.isdisjoint(aborted)
            or (bool(aborted) and course.stage < 0)
        )
    if verdict in ("rolled back", "rollback incomplete"):
        return course.rollback is not None or course.plan["action"] == "rollback"
    return verdict == "failed" and (not whole or bool(course.strayed) or bool(aborted) or _troubled(course))


def _troubled(course: Course) -> bool:
    """Whether a hook of the run did not end well at its end."""
    ends = [known for known in course.steps.values() if known["step"]["unit"] == RUN]
    last = {(known["step"]["phase"], known["step"]["hook"]): known for known in ends}
    return any(
        phase != "on_begin" and (known["result"] is None or known["result"]["outcome"] != "ok")
        for (phase, _), known in last.items()
    )


def _undo_failed(course: Course) -> bool:
    """Whether an undo of a hook of the run did not end well."""
    undos = [one for one in course.steps.values() if (one["step"]["unit"], one["step"]["phase"]) == (RUN, "undo")]
    last = {one["step"]["hook"]: one for one in undos}
    return any(one["result"] is None or one["result"]["outcome"] != "ok" for one in last.values())


def _left_behind(course: Course, unit: str) -> bool:
    """Whether the last stop or start of *unit* told of a process that outlived it."""
    acts = [one for one in course.steps.values() if one["step"]["unit"] == unit and one["result"] is not None]
    acts = [one for one in acts if one["step"]["phase"] in BRINGS]
    problem = acts[-1]["result"]["problem"] if acts else None
    return problem is not None and problem["kind"] == "orphan"


def _whole(course: Course, number: int) -> bool:
    stage = course.stages[number]
    return all(
        (stage.ok(place) and not stage.lives[place].marred)
        or (node["role"] == "probe" and _spared(course, number, place))
        for place, node in enumerate(stage.nodes)
    )


def _spared(course: Course, number: int, place: int) -> bool:
    """Whether who counts on a node that is only looked at has enough without it."""
    stage = course.stages[number]
    hard = [one for one in stage.barriers if not one["soft"] and any(place in group for group in one["instances"])]
    return bool(hard) and all(
        sum(all(stage.ok(one) for one in group) for group in barrier["instances"]) >= barrier["need"]
        for barrier in hard
    )


def _looks(course: Course, unit: str) -> list[Json]:
    return [
        known
        for known in course.steps.values()
        if known["step"]["unit"] == unit and known["ended"] is not None and known["step"]["phase"] in ("read", "look")
    ]


def _last_look(course: Course, unit: str) -> bool:
    """Whether the last step of *unit* that ended is a look."""
    mine = [known for known in course.steps.values() if known["step"]["unit"] == unit and known["ended"] is not None]
    acts = [known["ended"] for known in mine if known["step"]["phase"] in ACTS]
    return not acts or max((known["ended"] for known in _looks(course, unit)), default=-1) > max(acts)


def _last_found(course: Course, unit: str) -> str:
    looks = sorted(_looks(course, unit), key=lambda known: known["ended"])
    return str(looks[-1]["result"]["after"]) if looks else ""


def _as_before(unit: Json, state: str) -> bool:
    """Whether a unit found in *state* is where the snapshot had it."""
    if unit["seen"] is None:
        return False
    before = unit["seen"]["state"]
    if before in HELD:
        return state == "Paused"
    return state == ("Stopped" if before in DOWN else "Running")


def _back(course: Course) -> list[Json]:
    """The nodes of the way back."""
    return [node for stage in course.stages[course.forward :] for node in stage.nodes]


def _named(course: Course) -> set[str]:
    """The units of which the journal says that they are not where they were."""
    since = course.rollback["changed_since"] if course.rollback else []
    named = {one["unit"] for one in (*since, *course.strayed, *course.plan["left_alone"])}
    for stage in course.stages[course.forward :]:
        for node, life in zip(stage.nodes, stage.lives, strict=True):
            if node["role"] == "act" and (life.standing != "ok" or life.marred):
                named.add(node["unit"]["id"])
    return named
