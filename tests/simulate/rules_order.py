"""Who may begin: order, need, limits, and what pauses a run. Judged when a step is intended, on what was observed."""

from course import ACTS, Course
from rule import Rule
from staging import Json, Stage


class Order(Rule):
    """order: what a node waits for was observed there. need: counting only what is ok. unknown: no unknown one was
    counted. way back: the same in the stages of a rollback. limits: nobody goes beyond them. in order: `order:
    inventory`. pause: nothing begins while a decision pauses the run. window: no stop begins past it."""

    NAMES = ("order", "need", "unknown blocks", "way back", "limits", "in order", "pause", "window")

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] in ("rollback_began", "run_ended") and course.stage >= 0:
            self._unknown(course, course.stages[course.stage], entry)
        if fact["kind"] != "step_intended" or not course.of_life(fact["step"]):
            return
        step = fact["step"]
        stage, place = course.node(step)
        if course.goes_on(step):
            return
        self._order(course, stage, place, entry)
        self._limits(stage, place, entry)
        forward = stage.number < course.forward
        pausing = [decision["number"] for decision in course.open_decisions() if decision["pauses"]]
        if forward:
            self.test(
                "pause", not pausing, entry["n"], f"{step['unit']} begins while decision {pausing} pauses the run"
            )
        falls = stage.goal == "Stopped" and step["phase"] in ACTS
        if stage.nodes[place]["down"] is not None and not stage.lives[place].begun:
            falls = True
        if forward and falls:
            closed = "window closed" in course.orders
            self.test("window", not closed, entry["n"], f"a stop of {step['unit']} begins past the window")

    def _order(self, course: Course, stage: Stage, place: int, entry: Json) -> None:
        node = stage.nodes[place]
        unit = node["unit"]["id"]
        back = stage.number >= course.forward
        for number in node["waits_for"]:
            barrier = stage.barriers[number]
            said = (
                f"{unit} begins in stage {stage.number} though {barrier['name']} is not there: {_states(stage, number)}"
            )
            name = "way back" if back else "order"
            members = [one for group in barrier["instances"] for one in group]
            if not barrier["soft"] and barrier["need"] < len(barrier["instances"]):
                name = "need"
            if not barrier["soft"] and any(stage.lives[one].standing == "unknown" for one in members):
                self.test("unknown blocks", stage.open(number), entry["n"], said)
            self.test(name, stage.open(number), entry["n"], said)
        first = node["begins_after"]
        if first is not None:
            said = f"{unit} begins before {stage.nodes[first]['unit']['id']}"
            self.test("in order", stage.begun(first), entry["n"], said)

    def _unknown(self, course: Course, stage: Stage, entry: Json) -> None:
        """Nobody has gone on who needs a node that is still unknown."""
        for place, life in enumerate(stage.lives):
            if life.standing != "unknown":
                continue
            since = life.since
            needing = [
                number
                for number, one in enumerate(stage.barriers)
                if not one["soft"]
                and one["need"] == len(one["instances"])
                and any(place in g for g in one["instances"])
            ]
            for other, waiter in zip(stage.nodes, stage.lives, strict=True):
                if any(number in needing for number in other["waits_for"]):
                    began = course.steps[waiter.step]["intended"] if waiter.begun else -1
                    said = f"{other['unit']['id']} went on though {stage.nodes[place]['unit']['id']} is unknown"
                    self.test("unknown blocks", began < since, entry["n"], said)

    def _limits(self, stage: Stage, place: int, entry: Json) -> None:
        limits = stage.limits
        unit = stage.nodes[place]["unit"]
        active = stage.active()
        if unit["instance"] in active or stage.nodes[place]["batch"] is not None:
            return
        bounds = [("the run", limits["run"], len(active))]
        on_host = sum(other["host"] == unit["host"] for other in active.values())
        bounds.append((unit["host"], limits["host"] if unit["host"] else None, on_host))
        of_service = dict(map(tuple, limits["services"])).get(unit["service"])
        bounds.append((unit["service"], of_service, sum(o["service"] == unit["service"] for o in active.values())))
        for what, most, now in bounds:
            if most is not None:
                self.test("limits", now < most, entry["n"], f"{unit['id']} is one more than {most} of {what}")


def _states(stage: Stage, number: int) -> str:
    members = [place for group in stage.barriers[number]["instances"] for place in group]
    return ", ".join(f"{stage.nodes[place]['unit']['id']} {stage.lives[place].standing}" for place in members)
