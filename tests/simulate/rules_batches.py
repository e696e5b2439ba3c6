"""Who goes with whom: batches and the pauses between them, zones, and what is done on hosts between stop and start.

What the playbook says is read from the night's own entry about it, not from the plan: sizes are counted out anew.
"""

from collections import Counter, defaultdict

from course import Course
from rule import Rule, Test
from staging import Json, Stage

BETWEEN = "#between@"
_SOON_S = 0.001


class Batches(Rule):
    """batches: no instance begins before all of the batches before its own have ended or were given up, their pause
    has passed, and somebody has said so where the playbook asks. zones: in no zone more are under way than may be.
    between: nothing is done on a host before all of the stop is over, and nothing at all where a unit is not known to
    be down; nothing is started before all hosts are done. between once: what is not idempotent is done once on a host.
    reboot once: each item reboots each host at most once, unless a person says retry, and nothing else reboots one."""

    NAMES = ("batches", "zones", "between", "between once", "reboot once")

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.book: Json = {}
        self.run_of: dict[int, str] = {}
        self.done: Counter[tuple[str, str, str]] = Counter()
        """By run, unit and item: how often it was done since a person said retry."""
        self.groups: dict[tuple[str, int], dict[str, list[list[int]]]] = {}
        """By run and stage, the batches of each service: the places of their units."""
        self.over_at: dict[tuple[str, int, str, int], float] = {}
        """When each batch was over first."""
        self.began: dict[tuple[str, int], int] = defaultdict(int)

    def see(self, entry: Json) -> None:
        """See Rule."""
        what = entry["what"]
        if what == "playbook":
            self.book = {**entry, "batches": _by_service(entry)}
        elif what == "process" and entry["did"] == "started":
            self.run_of[entry["by"]] = entry["run"]
        elif what == "reboot":
            self._reboot(entry)
        elif what == "hook" and entry["unit"].startswith(BETWEEN) and entry["word"] == "do":
            self._program(entry)

    def _reboot(self, entry: Json) -> None:
        course, host = self.courses.get(self.run_of.get(entry["by"], "")), entry["host"]
        known = None if course is None else _doing(course, host)
        said = f"{host} is told to start again"
        self.test("reboot once", known is not None, entry["n"], f"{said}, and no step to do so is under way")
        if course is None or known is None or not entry["goes"]:
            return
        item = known["step"]["hook"]
        key = (course.run, BETWEEN + host, item)
        self.test("reboot once", not self.done[key], entry["n"], f"{said} twice by {item}, and nobody said retry")
        self.test("reboot once", self.book["between"].get(item) == "reboot", entry["n"], f"{said} by {item}")
        self.done[key] += 1

    def _program(self, entry: Json) -> None:
        course = self.courses.get(self.run_of.get(entry["by"], ""))
        if course is None or entry["way"] == "nowhere":
            return
        key = (course.run, entry["unit"], entry["hook"])
        said = f"{entry['hook']} is done again for {entry['unit']}, and nobody said retry"
        again = self.done[key] and self.book["between"].get(entry["hook"]) != "often"
        self.test("between once", not again, entry["n"], said)
        self.done[key] += 1

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] == "decision_answered":
            decision = course.decisions.get(fact["decision"])
            if decision is not None and fact["answer"]["choice"] == "retry" and fact["answer"]["source"] != "policy":
                hosts = {unit.rpartition("@")[2] for unit in decision["units"]}
                for key in [key for key in self.done if key[0] == course.run and key[1].rpartition("@")[2] in hosts]:
                    self.done[key] = 0
        elif fact["kind"] == "step_intended" and course.of_life(fact["step"]):
            stage, place = course.node(fact["step"])
            if fact["step"]["phase"] == "between" and stage.nodes[place]["down"] is not None:
                self._while_down(course, fact["step"], entry)
            if not course.goes_on(fact["step"]):
                self._begins(course, fact["step"], entry)

    def _begins(self, course: Course, step: Json, entry: Json) -> None:
        stage, place = course.node(step)
        node = stage.nodes[place]
        if node["batch"] is not None:
            return
        if not stage.checks:
            self._zone(stage, node, entry)
        if stage.number < course.forward:
            if node["role"] == "act":
                self._in_its_turn(course, stage, place, entry)
            self._between(course, stage, node, entry)

    def _while_down(self, course: Course, step: Json, entry: Json) -> None:
        """Whether the unit of a node that lives both ways is down when something is done between."""
        mine = [known for known in course.steps.values() if known["step"]["unit"] == step["unit"]]
        stops = [one for one in mine if one["step"]["phase"] in ("stop", "kill") and one["ended"] is not None]
        there = course.stages[step["stage"]].lives[course.node(step)[1]].at_goal
        down = there or (bool(stops) and max(stops, key=lambda one: one["ended"])["result"]["outcome"] == "ok")
        self.test("between", down, entry["n"], f"{step['hook']} is done on the host of {step['unit']}, which may be up")

    def _zone(self, stage: Stage, node: Json, entry: Json) -> None:
        zones, unit, most = self.book.get("zones", {}), node["unit"], self.book.get("per_zone")
        zone, active = zones.get(unit["host"]), stage.active()
        if most is None or zone is None or unit["instance"] in active:
            return
        there = sorted(one for one, of in active.items() if zones.get(of["host"]) == zone)
        said = f"{unit['id']} begins in {zone}, where {there} are under way; {most} may be"
        self.test("zones", len(there) < most, entry["n"], said)

    def _between(self, course: Course, stage: Stage, node: Json, entry: Json) -> None:
        """Whether all of the stop is over where something is done between, and all hosts where something is started."""
        last = course.stages[stage.number - 1] if stage.number else None
        unit, host = node["unit"]["id"], node["unit"]["host"]
        if last is None or not (stage.between or last.between):
            return
        left = [one["unit"]["id"] for place, one in enumerate(last.nodes) if not last.over(place)]
        self.test("between", not left, entry["n"], f"{unit} begins, and {left} are not done")
        if stage.between:
            mine = [n for n, one in enumerate(last.nodes) if one["role"] == "act" and one["unit"]["host"] == host]
            up = [last.nodes[n]["unit"]["id"] for n in mine if not last.ok(n)]
            self.test("between", bool(mine) and not up, entry["n"], f"{unit} begins, and {up} may be up")

    def _in_its_turn(self, course: Course, stage: Stage, place: int, entry: Json) -> None:
        unit = stage.nodes[place]["unit"]
        said = self.book.get("batches", {}).get(unit["service"])
        batches = self._batches(course, stage).get(unit["service"], [])
        number = next((n for n, batch in enumerate(batches) if place in batch), 0)
        if said is None or not number:
            return
        left = [stage.nodes[n]["unit"]["id"] for batch in batches[:number] for n in batch if not stage.over(n)]
        self.test(
            "batches", not left, entry["n"], f"{unit['id']} of batch {number + 1} begins, and {left} are not done"
        )
        if stage.lives[place].begun:
            return  # it goes again
        over_at = self.over_at.get((course.run, stage.number, unit["service"], number - 1), entry["t"])
        passed = entry["t"] - over_at + _SOON_S >= said["pause_s"]
        words = f"{unit['id']} of batch {number + 1} begins {entry['t'] - over_at:g} s after the one before"
        self.test("batches", passed, entry["n"], words)
        if said["asks"]:
            asked = [
                one["answer"]
                for one in course.decisions.values()
                if one["cause"]["kind"] == "pause"
                and one["units"] == [f"{unit['service']}#{number + 1}"]
                and one["asked"] > self.began[course.run, stage.number]
            ]
            self.test("batches", "continue" in asked, entry["n"], f"{unit['id']} begins; of its batch was said {asked}")

    def _batches(self, course: Course, stage: Stage) -> dict[str, list[list[int]]]:
        key = (course.run, stage.number)
        if key not in self.groups:
            instances: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
            for place, node in enumerate(stage.nodes):
                if node["role"] == "act" and node["unit"]["service"] in self.book.get("batches", {}):
                    instances[node["unit"]["service"]][node["unit"]["instance"]].append(place)
            self.groups[key] = {
                service: _counted_out(list(of.values()), self.book["batches"][service]["sizes"])
                for service, of in instances.items()
            }
        return self.groups[key]

    def after(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if not self.book.get("batches") or not 0 <= course.stage < course.forward:
            return
        if fact["kind"] not in ("stage_began", "step_ended", "decision_answered", "decision_withdrawn"):
            return
        stage = course.stages[course.stage]
        if fact["kind"] == "stage_began":
            self.began[course.run, stage.number] = entry["n"]
        if stage.checks or stage.between:
            return
        for service, batches in self._batches(course, stage).items():
            for number, batch in enumerate(batches[:-1]):
                key = (course.run, stage.number, service, number)
                if key not in self.over_at and all(map(stage.over, batch)):
                    self.over_at[key] = entry["t"]


def _doing(course: Course, host: str) -> Json | None:
    """The step between stop and start that is under way on that host."""
    busy = [known for known in course.under_way.values() if known["step"]["phase"] == "between"]
    return next((known for known in busy if course.units[known["step"]["unit"]]["host"] == host), None)


def _by_service(book: Json) -> dict[str, Json]:
    """The batches of each service. A rolling restart has some of its own: as many as may go together, or one by one."""
    made: dict[str, Json] = dict(book["batches"])
    for key, instances in book["instances"].items() if book["rolling"] else ():
        most, percent = book["min_available"].get(key, (0, False))
        least = -(-len(instances) * most // 100) if percent else most
        size = max(1, len(instances) - least) if key in book["min_available"] else 1
        made.setdefault(key, {"sizes": [[size, False]], "pause_s": 0.0, "asks": False})
    return made


def _counted_out(instances: list[list[int]], sizes: list[list[int]]) -> list[list[int]]:
    """The places of each batch: so many instances, or a percentage of all, one at least; the last size repeats."""
    made: list[list[int]] = []
    at = 0
    while at < len(instances):
        number, percent = sizes[min(len(made), len(sizes) - 1)]
        size = max(1, len(instances) * number // 100) if percent else number
        made.append([place for instance in instances[at : at + size] for place in instance])
        at += size
    return made
