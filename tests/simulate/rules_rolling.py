"""What a rolling restart promises to those who use a service: enough of it is up, and all of it is again at the end.

Who is up is read from the world's own states, and how many have to be from what the playbook says.
"""

from collections import defaultdict
from collections.abc import Iterable

from course import Course
from rule import Rule, Test
from staging import Json

_BEFORE_S = 15.0
"""How long before the end of a count its first read of somebody may have been, who was silent or waited for aside."""
Place = tuple[str, str]
"""A host and one of its services."""


class Rolling(Rule):
    """min available: a run never has more instances of a service down by its own hand than may be missing. counted: who
    is taken down has a count of its batch before it, and what such a count found to be up was. rolled up: what a
    rolling run took down is up at its end, or named."""

    NAMES = ("min available", "counted", "rolled up")

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.run_of: dict[int, str] = {}
        self.instances: dict[str, dict[str, list[Place]]] = {}
        """Of each service that has to stay up, its instances and what they are made of."""
        self.least: dict[str, int] = {}
        self.of: dict[Place, tuple[str, str]] = {}
        """The service and the instance that a place is of."""
        self.up: dict[Place, bool] = {}
        self.went: dict[Place, list[tuple[float, bool]]] = defaultdict(list)
        """When each came up, or went down."""
        self.taken: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        """By run and service, the instances that it took down and that did not come up since."""
        self.took: dict[str, set[Place]] = defaultdict(set)
        self.rolls = False

    def see(self, entry: Json) -> None:
        """See Rule."""
        what = entry["what"]
        if what == "playbook":
            self._learn(entry)
        elif what == "process" and entry["did"] == "started":
            self.run_of[entry["by"]] = entry["run"]
        elif not self.rolls:
            return
        elif what == "state":
            self._state(entry)
        elif what == "arrived" and entry["control"] == "stop" and entry["refused"] is None:
            self._taken(entry)

    def _learn(self, entry: Json) -> None:
        self.rolls = entry["rolling"]
        for key, of in entry["instances"].items():
            for instance, places in of.items():
                self.of.update({(host, name): (key, instance) for host, name in places})
            if key in entry["min_available"]:
                most, percent = entry["min_available"][key]
                self.least[key] = -(-len(of) * most // 100) if percent else most
                self.instances[key] = {one: [(host, name) for host, name in places] for one, places in of.items()}
        for host, name, state in entry["states"]:
            self.up[host, name] = state == "Running"
            self.went[host, name].append((0.0, state == "Running"))

    def _state(self, entry: Json) -> None:
        place = (entry["host"], entry["service"])
        up = entry["state"] == "Running"
        if up == self.up.get(place):
            return
        self.up[place] = up
        self.went[place].append((entry["t"], up))
        key, instance = self.of.get(place, ("", ""))
        if up and key in self.instances and all(self.up[one] for one in self.instances[key][instance]):
            for taken in self.taken.values():
                taken[key].discard(instance)

    def _taken(self, entry: Json) -> None:
        """A stop arrived, which the world will log next as a state, of what may have been up."""
        place = (entry["host"], entry["service"])
        course = self.courses.get(self.run_of.get(entry["by"], ""))
        key, instance = self.of.get(place, ("", ""))
        if course is None or not key or course.stage >= course.forward:
            return
        self.took[course.run].add(place)
        if key not in self.least or instance in self.taken[course.run][key]:
            return
        if not all(self.up[one] for one in self.instances[key][instance]):
            return  # it was not up before
        down = self.taken[course.run][key]
        down.add(instance)
        may = len(self.instances[key]) - self.least[key]
        said = f"{sorted(down)} are down by {course.run}; of {key} {may} may be"
        self.test("min available", len(down) <= may, entry["n"], said)
        stage = course.stages[course.stage]
        counts = [
            known
            for known in course.steps.values()
            if known["step"]["phase"] == "count"
            and known["step"]["stage"] == stage.number
            and stage.nodes[stage.places[known["step"]["unit"]]]["unit"]["service"] == key
            and known["result"] is not None
            and known["result"]["outcome"] == "ok"
        ]
        room = sum(stage.nodes[stage.places[known["step"]["unit"]]]["batch"]["size"] for known in counts)
        gone = {self.of[one][1] for one in self.took[course.run] if self.of[one][0] == key}
        said = f"{sorted(gone)} were taken down, and no more than {room} were counted for"
        self.test("counted", len(gone) <= room, entry["n"], said)

    def after(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if not self.rolls:
            return
        if fact["kind"] == "step_ended" and fact["result"]["step"]["phase"] == "count":
            self._counted(course, fact["result"], entry)
        elif fact["kind"] == "run_ended" and fact["verdict"] != "closed":
            for place in sorted(self.took[course.run]):
                self._is_back(course, place, entry)

    def _counted(self, course: Course, result: Json, entry: Json) -> None:
        step = result["step"]
        stage, place = course.node(step)
        key = stage.nodes[place]["unit"]["service"]
        known = course.steps.get(f"{step['stage']}/{step['unit']}/count/{step['attempt']}")
        if key not in self.least or result["outcome"] != "ok" or known is None or known["lost"]:
            return
        coming = _behind(stage.nodes, stage.barriers, step["unit"])
        since_s = entry["t"] - _BEFORE_S
        rest = [places for one, places in self.instances[key].items() if one not in coming]
        were = sum(all(self._was_up(one, since_s) for one in places) for places in rest)
        said = f"{step['unit']} counted, and {were} of {key} were up without its own; {self.least[key]} have to be"
        self.test("counted", were >= self.least[key], entry["n"], said)

    def _was_up(self, place: Place, since_s: float) -> bool:
        """Whether it was up at some moment since."""
        history = self.went[place]
        return self.up[place] or any(at >= since_s and not up for at, up in history[1:])

    def _is_back(self, course: Course, place: Place, entry: Json) -> None:
        unit = next((one for one, of in course.units.items() if (of["host"], of["scm_name"]) == place), "")
        looks = [
            (known["ended"], known["result"]["after"])
            for known in course.steps.values()
            if known["step"]["unit"] == unit
            and known["ended"] is not None
            and known["step"]["phase"] in ("read", "look")
        ]
        found = str(max(looks)[1]) if looks else ""
        up = found == "Running"
        self.test(
            "rolled up", up or unit in _named(course), entry["n"], f"{unit} is {found or 'unread'}, and not named"
        )


def _behind(nodes: Iterable[Json], barriers: list[Json], count: str) -> set[str]:
    """The instances of the batch that waits for a count."""
    own = {number for number, one in enumerate(barriers) if one["name"] == count and not one["soft"]}
    return {node["unit"]["instance"] for node in nodes if own & set(node["waits_for"])}


def _named(course: Course) -> set[str]:
    """The units that the journal tells of at the end: failed, unknown, or elsewhere."""
    since = course.rollback["changed_since"] if course.rollback else []
    named = {one["unit"] for one in (*since, *course.strayed)}
    for stage in course.stages:
        for node, life in zip(stage.nodes, stage.lives, strict=True):
            if life.standing in ("failed", "unknown"):
                named.add(node["unit"]["id"])
    return named
