"""How a unit comes down and up: checks before, processes that are gone, kills, health, watches."""

from collections import defaultdict

from course import BRINGS, CHANGES, Course
from rule import Rule, Test
from staging import Json, Stage

BEFORE_ITS_ACT = ("precheck", "pre_stop", "pre_start", "drained", "keep_down", "release", "start", "stop")
"""Phases that wait while a run pauses."""
WATCHED_WITHIN_S = 15.0


class Lives(Rule):
    """prechecked: nothing is changed before all prechecks of the run held, or somebody went on without those units; and
    nothing is stopped whose own checks did not hold just before. checked: a precheck that held did hold. gone: no stop
    is told ok while the process that the service had lives. kill: a process is ended only where the playbook or a
    person allowed it, and nobody's who was not named. healthy: who is told healthy did not go down meanwhile. watched:
    nobody begins on a unit that was read dead. halts: in a pause nothing goes on that has not acted."""

    NAMES = ("prechecked", "checked", "gone", "kill", "healthy", "watched", "halts")

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.run_of: dict[int, str] = {}
        self.had: dict[tuple[str, str], list[int]] = defaultdict(list)
        """By host and service, the processes that it has or had since its host started."""
        self.left: dict[str, dict[int, int]] = defaultdict(dict)
        """By host, processes that outlived their service, and since which entry."""
        self.began: dict[int, int] = {}
        """The entry at which each process of orch began."""
        self.inside: dict[str, dict[str, int]] = defaultdict(dict)
        """By host, the services that have a process."""
        self.down_since: dict[tuple[str, str], Json] = {}
        self.read: dict[tuple[int, str, str], Json] = {}
        """By process of orch, host and service, the last reading of it."""
        self.held: dict[str, int] = {}
        """By unit, the entry at which its checks held last."""
        self.kill_answers: set[tuple[str, str]] = set()

    def see(self, entry: Json) -> None:
        """See Rule."""
        what = entry["what"]
        if what == "process" and entry["did"] == "started":
            self.run_of[entry["by"]] = entry["run"]
            self.began[entry["by"]] = entry["n"]
        elif what == "state":
            self._state(entry)
        elif what in ("gone", "down"):
            self._gone(entry)
        elif what == "call" and entry["verb"] == "read" and entry["told"] == "ok":
            for service in entry["states"]:
                self.read[entry["by"], entry["host"], service] = entry
        elif what == "hook" and (entry["hook"], entry["way"]) == ("precheck", "well"):
            self.held[entry["unit"]] = entry["n"]
        elif what == "kill":
            self._kill(entry)

    def _gone(self, entry: Json) -> None:
        """Processes are gone, or all of a host that goes down."""
        host = entry["host"]
        if entry["what"] == "gone":
            for pid in entry["pids"]:
                self.left[host].pop(pid, None)
            return
        self.left[host].clear()
        for key in [key for key in self.had if key[0] == host]:
            del self.had[key]

    def _state(self, entry: Json) -> None:
        host, service = entry["host"], entry["service"]
        if entry["pid"] is not None:
            self.inside[host][service] = entry["pid"]
            if entry["pid"] not in self.had[host, service]:
                self.had[host, service].append(entry["pid"])
        else:
            self.inside[host].pop(service, None)
        if entry["left"] is not None:
            self.left[host][entry["left"]] = entry["n"]
        if entry["state"] == "Stopped":
            self.down_since[host, service] = entry
        else:
            self.down_since.pop((host, service), None)

    def _kill(self, entry: Json) -> None:
        course = self.courses.get(self.run_of.get(entry["by"], ""))
        host, pid = entry["host"], entry["pid"]
        known = (
            None
            if course is None
            else next(
                (
                    one
                    for one in course.under_way.values()
                    if one["step"]["phase"] == "kill"
                    and course.units[one["step"]["unit"]]["host"] == host
                    and pid in self._pids(course, one["step"]["unit"])
                ),
                None,
            )
        )
        said = f"process {pid} of {host} is ended"
        self.test("kill", known is not None, entry["n"], f"{said}, and no step to do so is under way for it")
        if known is None or course is None:
            return
        unit = known["step"]["unit"]
        stage, place = course.node(known["step"])
        life = stage.life_down(place) or {}
        allowed = life["if_stuck"] == "kill" or (course.run, unit) in self.kill_answers
        self.test("kill", allowed, entry["n"], f"{said}, and nobody allowed it")
        mine = course.units[unit]["scm_name"].lower()
        others = [name for name in entry["inside"] if name.lower() != mine]
        named = {name.lower() for name in life["kill_shared"]}
        beside = [name for name in others if name.lower() not in named]
        self.test("kill", not beside, entry["n"], f"{said}, and {beside} with it, which nobody named")

    def _pids(self, course: Course, unit: str) -> list[int]:
        of = course.units[unit]
        seen = of["seen"]["pid"] if of["seen"] is not None else None
        return [*self.had.get((of["host"], of["scm_name"]), ()), *([] if seen is None else [seen])]

    @staticmethod
    def _asked(course: Course, stop: Json) -> list[int]:
        """The process that the unit had when an earlier stop of it was asked for, as far as the journal tells."""
        mine = [one for one in course.steps.values() if one["step"]["unit"] == stop["step"]["unit"] and one is not stop]
        told = [one for one in mine if one["result"] is not None and "pid_after" in one["result"]["evidence"]]
        if not told or course.units[stop["step"]["unit"]]["booted_at"] is None:
            return []
        last = max(told, key=lambda one: one["ended"])
        since = [one for one in mine if one["intended"] > last["intended"] and one["step"]["phase"] in ("stop", "kill")]
        return [int(last["result"]["evidence"]["pid_after"])] if since else []

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] == "decision_answered" and fact["answer"]["choice"] == "kill":
            decision = course.decisions.get(fact["decision"])
            units = decision["units"] if decision is not None else []
            self.kill_answers |= {(course.run, unit) for unit in units}
        elif fact["kind"] == "step_intended" and course.of_life(fact["step"]):
            self._begins(course, fact["step"], entry)

    def _begins(self, course: Course, step: Json, entry: Json) -> None:
        stage, place = course.node(step)
        unit, phase = step["unit"], step["phase"]
        forward = stage.number < course.forward
        if forward and phase in (*BRINGS, *CHANGES):
            for before in course.stages[: stage.number]:
                if before.checks and before.goal in (stage.goal, stage.first_goal(place)):
                    self._checked(before, step, entry)
        if phase == "kill":
            allowed = not course.hands_off or (course.run, unit) in self.kill_answers
            self.test("kill", allowed, entry["n"], f"{unit} is to be killed, and the run is {sorted(course.hands_off)}")
        if phase == "stop" and (stage.life_down(place) or {}).get("prechecks"):
            mine = [
                known
                for known in course.steps.values()
                if known["step"]["unit"] == unit
                and known["step"]["stage"] == stage.number
                and known["step"]["phase"] == "precheck"
                and known["result"] is not None
            ]
            held = bool(mine) and mine[-1]["result"]["outcome"] == "ok"
            self.test("prechecked", held, entry["n"], f"{unit} is stopped, and its checks did not hold before")
        pausing = [one["number"] for one in course.open_decisions() if one["pauses"]]
        acted = stage.nodes[place]["down"] is not None and stage.at(place, step) > stage.act_at(place)
        if forward and course.goes_on(step) and phase in BEFORE_ITS_ACT and not acted:
            self.test("halts", not pausing, entry["n"], f"{unit} goes on with {phase}; {pausing} pauses the run")
        told = [one["answer"] for one in course.decisions.values() if one["cause"]["kind"] == "changed"]
        accepted = any(one["accept_drift"] for one in course.resumed) or "continue" in told
        if forward and stage.goal == "Running" and not course.goes_on(step) and not accepted:
            self._on_the_living(course, stage, place, entry)

    def _checked(self, checks: Stage, step: Json, entry: Json) -> None:
        """All checks of the run held, or somebody does without those that did not."""
        open_ = [
            node["unit"]["id"]
            for place, node in enumerate(checks.nodes)
            if not (checks.ok(place) or checks.lives[place].settled)
        ]
        self.test("prechecked", not open_, entry["n"], f"{step['unit']}: {step['phase']}; {open_} were not checked")
        own = checks.places.get(step["unit"])
        held = own is None or checks.ok(own)
        self.test("prechecked", held, entry["n"], f"{step['unit']} is acted on, and its checks did not hold")

    def _on_the_living(self, course: Course, stage: Stage, place: int, entry: Json) -> None:
        """Whether those on whom it counts were not read dead a while ago by who begins it."""
        for number in stage.nodes[place]["waits_for"]:
            barrier = stage.barriers[number]
            if barrier["soft"] or barrier["need"] < len(barrier["instances"]):
                continue
            for one in (one for group in barrier["instances"] for one in group):
                node = stage.nodes[one]
                host, name = node["unit"]["host"], node["unit"]["scm_name"]
                down = self.down_since.get((host, name))
                if node["role"] != "act" or down is None:
                    continue
                read = self.read.get((entry["by"], host, name))
                dead = (
                    read is not None
                    and read["n"] > down["n"]
                    and read["ended"] < entry["n"]
                    and entry["t"] - read["t"] > 1.0
                )
                long = dead and entry["t"] - down["t"] > WATCHED_WITHIN_S
                unit = stage.nodes[place]["unit"]["id"]
                self.test("watched", not long, entry["n"], f"{unit} begins, and {node['unit']['id']} was read Stopped")

    def after(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] != "step_ended" or fact["result"]["outcome"] != "ok":
            return
        step = fact["result"]["step"]
        unit = course.units.get(step["unit"])
        known = next((one for one in course.steps.values() if one["result"] is fact["result"]), None)
        if unit is None or unit["scm_name"] is None or known is None:
            return
        host, name = unit["host"], unit["scm_name"]
        if step["phase"] in ("stop", "kill"):
            seen = unit["seen"]["pid"] if unit["seen"] is not None else None
            alive = [
                pid
                for pid, since in self.left[host].items()
                if pid == seen
                or (
                    pid in self.had[host, name]
                    and (since > self.began[entry["by"]] or pid in self._asked(course, known))
                )
            ]
            self.test("gone", not alive, entry["n"], f"{step['unit']} is told Stopped, and its process {alive} lives")
        elif step["phase"] == "healthy":
            read = self.read.get((entry["by"], host, name))
            down = self.down_since.get((host, name))
            dead = down is not None and read is not None and down["n"] < read["n"]
            self.test("healthy", not dead, entry["n"], f"{step['unit']} is told healthy and was down when it was read")
        stage, place = course.node(step) if course.of_life(step) else (None, -1)
        own = stage is not None and (step["phase"] == "precheck" or (step["phase"] == "gate" and stage.checks))
        if own and unit["id"] == unit["instance"]:
            said = f"the checks of {step['unit']} are told to hold, and nothing said so"
            self.test("checked", self.held.get(step["unit"], -1) > known["intended"], entry["n"], said)
