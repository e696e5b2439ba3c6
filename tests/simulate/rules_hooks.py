"""What is done beside the services: hooks of units and of the run, and what keeps services down."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from course import RUN, TOWARDS, Course, found_last, name_of, repeatable, step_id
from rule import Rule, Test
from staging import HOOKS, KEPT_DOWN, Json, Stage

OF_RUN = ("on_begin", "on_end", "on_failure")
DEEDS = ("do", "undo")


class Hooks(Rule):
    """hook once: what is not idempotent is not carried out twice unless a person said retry, or rollback of what is
    undone. hook told: what a step says of its hook is what became of it. undone: whatever the way, what may have been
    done is undone where its unit did not come to where it was done for, or it is named. run hooks: those of the end are
    carried out once, in order, and what was begun is undone before. kept down: no service is disabled without a record
    of how it was, and none that is kept down comes up with its host. released: what is not down is not kept down, or it
    is named, and nothing is started before it is released."""

    NAMES = ("hook once", "hook told", "undone", "run hooks", "kept down", "released")

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.run_of: dict[int, str] = {}
        self.deeds: Counter[tuple[str, str, str, str]] = Counter()
        """By run, unit, hook and word: how often it was carried out since it was turned round, or somebody said so."""
        self.last_check: dict[tuple[str, str], str] = {}
        self.world: dict[tuple[str, str], bool] = {}
        """By unit and hook, whether it is in effect, once it was asked for."""
        self.done_in: dict[tuple[str, str], list[Json]] = defaultdict(list)
        """By run and step id: what really happened in it."""
        self.stays: dict[tuple[str, str, str], str] = {}
        """By run, unit and hook that may be in effect: the goal of the stage in which it was carried out."""
        self.tried: dict[str, set[tuple[str, str]]] = defaultdict(set)
        """By run, (unit, hook) of undos that did not end well."""
        self.refused: set[tuple[str, str, str]] = set()
        """By run, unit and hook: undos that failed when they were last tried, so that nothing about them is unknown."""
        self.records: dict[str, list[str]] = {}
        self.disabled: dict[str, list[str]] = {}
        self.found: dict[tuple[str, str], str] = {}
        self.finals: dict[tuple[str, str], str] = {}
        """By run and unit, what its last reading found."""

    def see(self, entry: Json) -> None:
        """See Rule."""
        what = entry["what"]
        if what == "process" and entry["did"] == "started":
            self.run_of[entry["by"]] = entry["run"]
        elif what == "hook":
            self._hook(entry)
        elif what == "kept":
            loose = [name for name in entry["disabled"] if name.lower() not in entry["records"]]
            said = f"{loose} of {entry['host']} are disabled, and nothing says how they were"
            self.test("kept down", not loose, entry["n"], said)
            self.records[entry["host"]], self.disabled[entry["host"]] = entry["records"], entry["disabled"]
        elif what == "reboot" and entry["goes"]:
            self._stays_down(entry)

    def _stays_down(self, entry: Json) -> None:
        """Whether nothing that is kept down can come up with its host."""
        course = self.courses.get(self.run_of.get(entry["by"], ""))
        for unit in () if course is None else [unit for unit, names in course.owed.items() if KEPT_DOWN in names]:
            of = course.units[unit] if course is not None else {}
            if of["host"] == entry["host"]:
                said = f"{entry['host']} starts again, and {unit}, which is kept down, may come up with it"
                self.test("kept down", of["scm_name"] in self.disabled.get(entry["host"], ()), entry["n"], said)

    def _hook(self, entry: Json) -> None:
        unit, name, word = entry["unit"], entry["hook"], entry["word"]
        course = self.courses.get(self.run_of.get(entry["by"], ""))
        if word not in DEEDS or course is None:
            return
        before = self.world.get((unit, name))
        self.world[unit, name] = entry["on"]
        known = course.under_way.get(unit)
        if known is not None and known["step"]["hook"] == name:
            self.done_in[course.run, step_id(known["step"])].append(entry)
        hook = _declared(course, unit, name)
        key = (course.run, unit, name, word)
        if entry["way"] == "nowhere":
            return  # nothing was sent: that may be tried again
        if hook is not None and not hook["idempotent"]:
            there = before is (word == "do")
            again = self.deeds[key] > 0 and (hook["check"] is None or there)
            said = f"{name} of {unit} is carried out again ({word}), and nobody said retry"
            self.test("hook once", not again, entry["n"], said)
        self.deeds[key] += 1
        self.deeds[course.run, unit, name, "undo" if word == "do" else "do"] = 0

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] == "decision_answered" and fact["answer"]["source"] != "policy":
            self._answered(course, fact)
        elif fact["kind"] == "run_ended":
            self._lost(course, (known["step"] for known in course.under_way.values()))
            if fact["verdict"] != "closed":
                self._end(course, fact, entry)
                self._errands(course, entry)
        elif fact["kind"] == "run_resumed":
            self._lost(course, (known["step"] for known in course.under_way.values()))
        elif fact["kind"] == "step_intended" and fact["step"]["phase"] == "start":
            unit = fact["step"]["unit"]
            said = f"{unit} is started, and nobody has released it"
            self.test("released", KEPT_DOWN not in course.owed[unit], entry["n"], said)

    def _answered(self, course: Course, fact: Json) -> None:
        """What a person's answer lets be carried out once more: with a rollback what failed to be undone, too."""
        decision = course.decisions.get(fact["decision"])
        if fact["answer"]["choice"] == "rollback":
            again = [key for key in self.deeds if key[3] == "undo" and key[:3] in self.refused and key[0] == course.run]
        elif decision is not None and fact["answer"]["choice"] == "retry":
            units = [RUN] if decision["cause"]["kind"] == "hook" else decision["units"]
            again = [key for key in self.deeds if key[0] == course.run and key[1] in units]
        else:
            return
        for key in again:
            self.deeds[key] = 0

    def after(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] != "step_ended":
            return
        result = fact["result"]
        step = result["step"]
        if result["after"] and step["phase"] != "gate":
            self.found[course.run, step["unit"]] = result["after"]
        if step["phase"] == "read" and not course.of_life(step):
            self.finals[course.run, step["unit"]] = result["after"]
        if step["phase"] in (*HOOKS, *OF_RUN, "undo") and step["hook"]:
            self._told(course, result, entry)
        if step["phase"] in (*HOOKS, "on_begin", "undo", "keep_down", "release"):
            self._fold(course, step, result)

    def _fold(self, course: Course, step: Json, result: Json | None) -> None:
        """Which goal a do was for, and which undos did not end well."""
        hook, unit, name = course.hook(step), step["unit"], name_of(step)
        undoes = step["phase"] in ("undo", "release") or (hook is not None and hook["undoes"])
        if undoes:
            if result is not None and result["outcome"] == "failed":
                self.refused.add((course.run, unit, name))
            else:
                self.refused.discard((course.run, unit, name))
            if result is None or result["outcome"] != "ok":
                self.tried[course.run].add((unit, name))
            else:
                self.tried[course.run].discard((unit, name))
        elif result is None or result["acted"] != "no":
            goal = "" if unit == RUN else course.stages[step["stage"]].goal_of(step)
            self.stays[course.run, unit, name] = goal
            self.tried[course.run].discard((unit, name))

    def _lost(self, course: Course, steps: Iterable[Json]) -> None:
        for step in steps:
            if step["phase"] in (*HOOKS, "on_begin", "undo", "keep_down", "release"):
                self._fold(course, step, None)

    def _told(self, course: Course, result: Json, entry: Json) -> None:
        step = result["step"]
        hook = course.hook(step)
        if hook is None:
            return
        undo = step["phase"] == "undo" or hook["undoes"]
        happened = self.done_in[course.run, step_id(step)]
        effective = [one for one in happened if one["way"] in ("well", "half", "lost after")]
        said = (
            f"{step_id(step)} is told {result['outcome']}, acted {result['acted']}; {[one['way'] for one in happened]}"
        )
        if result["acted"] == "no":
            self.test("hook told", not effective, entry["n"], said)
        if result["outcome"] == "ok":
            there = self.world.get((step["unit"], step["hook"]))
            self.test("hook told", there is None or there is not undo, entry["n"], said)

    def _end(self, course: Course, fact: Json, entry: Json) -> None:
        """Nothing that may have been done is forgotten: the verdict counts all that needs hands."""
        hands = {key for key in self.tried[course.run] if key[0] != RUN}
        hands |= {
            (unit, name)
            for unit, of in course.owed.items()
            if unit != RUN
            for name in of
            if self._left(course, unit, name)
        }
        said = f"{len(hands)} of {sorted(hands)} need hands, and {fact['counts'].get('not undone', 0)} are counted"
        self.test("undone", fact["counts"].get("not undone", 0) == len(hands), entry["n"], said)
        for unit, names in course.owed.items():
            for name in names:
                if unit != RUN and (course.run, unit, name) in self.stays:
                    self._stays(course, unit, name, fact, entry)
        for unit, of in course.units.items():
            if of["scm_name"] is not None and of["scm_name"].lower() in self.records.get(of["host"] or "", ()):
                up = self.found.get((course.run, unit), "") in ("Running", "StartPending")
                known = KEPT_DOWN in course.owed[unit] or self._named(course, unit, KEPT_DOWN, fact)
                mine = unit in course.touched
                said = f"{unit} is up, and is kept down on its host"
                self.test("released", not (up and mine) or known, entry["n"], said)

    def _left(self, course: Course, unit: str, name: str) -> bool:
        """Whether what may be in effect is to be undone: its unit is not where it was done for, or was not to stay
        there, or goes back."""
        goal = self.stays.get((course.run, unit, name))
        if course.plan["action"] == "rollback":
            return goal is None or goal != self._at(course, unit)
        back = course.rollback is not None and goal != _home(course, unit)
        return back or goal != self._at(course, unit) or (goal == "Stopped" and _comes_up(course, unit))

    def _at(self, course: Course, unit: str) -> str:
        """Where the unit is at the end, or where its own steps left it if that could not be read."""
        return self.finals.get((course.run, unit), "") or course.left.get(unit, "")

    def _stays(self, course: Course, unit: str, name: str, fact: Json, entry: Json) -> None:
        goal = self.stays[course.run, unit, name]
        invariant = "released" if name == KEPT_DOWN else "undone"
        found = self.found.get((course.run, unit), "")
        there = found == goal or self._was_there(course, unit, goal)
        if course.rollback is not None:
            there = there and goal == _home(course, unit)
        said = f"{name} of {unit} may be in effect; the unit is {found or 'unread'}, it was done for {goal}"
        self.test(invariant, there or self._named(course, unit, name, fact), entry["n"], said)

    @staticmethod
    def _was_there(course: Course, unit: str, goal: str) -> bool:
        """Whether the run brought the unit to *goal* in a stage of its own, and has not gone on with it since."""
        for stage in reversed(course.stages[: course.stage + 1]):
            place = stage.places.get(unit)
            if place is not None and not stage.checks and stage.lives[place].begun:
                return stage.goal == goal and stage.ok(place)
        return False

    def _named(self, course: Course, unit: str, name: str, fact: Json) -> bool:
        """Whether the journal says that somebody has to look at it."""
        if (unit, name) in self.tried[course.run]:
            return bool(fact["counts"].get("not undone"))
        goal = self.stays.get((course.run, unit, name), "")
        if {course.left.get(unit, ""), found_last(course, unit)} & {"", *TOWARDS.get(goal, ())}:
            return bool(fact["counts"].get("not undone"))  # it may still come to where it was done for
        since = course.rollback["changed_since"] if course.rollback else []
        if unit in {one["unit"] for one in (*since, *course.strayed)}:
            return True
        later = course.stages[course.forward :] if course.rollback is not None else course.stages[: course.stage + 1]
        for stage in later:
            place = stage.places.get(unit)
            if place is None or stage.goal == goal or stage.nodes[place]["role"] != "act":
                continue
            if not stage.ok(place) and not _passed(course, stage, place, name):
                return True
        return False

    def _errands(self, course: Course, entry: Json) -> None:
        """The run's own hooks at its end."""
        mine = [known for known in course.steps.values() if known["step"]["unit"] == RUN]
        if not mine and course.stage < 0:
            return
        hooks = course.plan["hooks"]
        ended: dict[tuple[str, str], list[Json]] = defaultdict(list)
        for known in mine:
            ended[known["step"]["phase"], known["step"]["hook"]].append(known)
        for hook in hooks["end"]:
            self._once(ended["on_end", hook["name"]], hook, entry)
        if course.ended is None and any(_may_have_run(known) for known in mine if known["step"]["phase"] == "on_begin"):
            for hook in hooks["begin"]:
                did = any(_may_have_run(known) for known in ended["on_begin", hook["name"]])
                if did and hook["undo"] is not None:
                    self._once(ended["undo", hook["name"]], hook, entry)
        undos = [known["intended"] for known in mine if known["step"]["phase"] == "undo"]
        ends = [known["intended"] for known in mine if known["step"]["phase"] == "on_end"]
        self.test(
            "run hooks", not undos or not ends or max(undos) < min(ends), entry["n"], "on_end comes before an undo"
        )

    def _once(self, tries: list[Json], hook: Json, entry: Json) -> None:
        ended = [known for known in tries if known["ended"] is not None]
        given_up = bool(tries) and not repeatable(hook) and tries[-1]["lost"]
        said = f"{hook['name']} of the run was carried out {len(ended)} times at its end"
        self.test("run hooks", len(ended) == 1 or (given_up and not ended), entry["n"], said)


def _home(course: Course, unit: str) -> str:
    seen = course.units[unit]["seen"]
    return "Stopped" if seen is not None and seen["state"] in ("Stopped", "StopPending") else "Running"


def _comes_up(course: Course, unit: str) -> bool:
    """Whether it goes down and comes up again in one life."""
    places = ((stage, stage.places[unit]) for stage in course.stages if unit in stage.places)
    return any(stage.nodes[place]["down"] is not None for stage, place in places)


def _passed(course: Course, stage: Stage, place: int, name: str) -> bool:
    """Whether the node went past the undo of that name."""
    if not stage.lives[place].begun:
        return False
    parts = enumerate(stage.parts[place])
    undo = (n for n, part in parts if (part[0] == "release" if name == KEPT_DOWN else part[1] == name and part[2]))
    at = next(undo, -1)
    return stage.at(place, course.steps[stage.lives[place].step]["step"]) > at


def _may_have_run(known: Json) -> bool:
    return known["result"] is None or known["result"]["acted"] != "no"


def _declared(course: Course, unit: str, name: str) -> Json | None:
    """The hook of that name, as the plan or the way back has it."""
    for stage in course.stages:
        if unit in stage.places:
            tries = ({"phase": phase, "hook": name} for phase in ("undo", "pre_start", "pre_stop"))
            found = (stage.hook(stage.places[unit], step) for step in tries)
            hook = next((one for one in found if one is not None), None)
            if hook is not None:
                return hook
    return course.hook({"unit": RUN, "hook": name}) if unit == RUN else None
