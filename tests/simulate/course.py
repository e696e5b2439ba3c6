"""One run as its facts tell it: plain JSON folded the slow and plain way, for the checker's rules to ask.

Shares nothing with the product. A barrier is judged by looking at all its nodes again.
"""

from collections import defaultdict
from typing import Any

Json = dict[str, Any]
ACTS = {"start": "Running", "stop": "Stopped"}
"""Phases that send a control, and where it brings a unit."""
TOWARDS = {"Running": ("Running", "StartPending", "ContinuePending"), "Stopped": ("Stopped", "StopPending")}
PASSING = ("unreachable", "quota", "protocol")
"""Problems that the way back tries again, until its time is over."""


class Life:
    """How a node of a stage stands: waiting, under way, ok, failed, unknown; `settled`: nothing more comes of it."""

    __slots__ = ("begun", "settled", "standing", "step")

    def __init__(self) -> None:
        self.standing = "waiting"
        self.begun = False
        self.settled = False
        self.step = ""


class Stage:
    """A stage with the lives of its nodes."""

    def __init__(self, number: int, data: Json) -> None:
        self.number = number
        self.goal: str = data["goal"]
        self.nodes: list[Json] = data["nodes"]
        self.barriers: list[Json] = data["barriers"]
        self.limits: Json = data["limits"]
        self.lives = [Life() for _ in self.nodes]
        self.places = {node["unit"]["id"]: place for place, node in enumerate(self.nodes)}

    def last_phase(self, place: int) -> str:
        """The phase that ends a node's life well; "" for one without steps."""
        node = self.nodes[place]
        if node["role"] == "pass":
            return ""
        if node["gates"]:
            return "gate"
        if node["role"] == "act":
            return "start" if self.goal == "Running" else "stop"
        return "read" if node["unit"]["scm_name"] is not None and node["unit"]["host"] is not None else ""

    def ok(self, place: int) -> bool:
        """Whether the node is where it should be, as observed. One without steps is, when what it waits for is."""
        if self.last_phase(place):
            return self.lives[place].standing == "ok"
        return self.free(place)

    def free(self, place: int) -> bool:
        """Whether nothing but limits holds the node up."""
        node = self.nodes[place]
        before = node["begins_after"]
        return (before is None or self.begun(before)) and all(self.open(number) for number in node["waits_for"])

    def begun(self, place: int) -> bool:
        """Whether those that begin after the node need not wait for it any more."""
        life = self.lives[place]
        passed = not self.last_phase(place) and self.free(place)
        return life.begun or life.settled or passed or self.doomed(place)

    def open(self, number: int) -> bool:
        """Whether what waits at the barrier may go."""
        barrier = self.barriers[number]
        if barrier["soft"]:
            return all(self.over(place) for group in barrier["instances"] for place in group)
        whole = [all(self.ok(place) for place in group) for group in barrier["instances"]]
        return sum(whole) >= int(barrier["need"])

    def over(self, place: int) -> bool:
        """Whether nothing more is expected of the node in this stage."""
        return self.ok(place) or self.lives[place].settled or self.doomed(place)

    def doomed(self, place: int) -> bool:
        """Whether what the node waits for can't come any more."""
        if self.lives[place].begun:
            return False
        for number in self.nodes[place]["waits_for"]:
            barrier = self.barriers[number]
            if barrier["soft"]:
                continue
            hope = [not any(self.lost(one) for one in group) for group in barrier["instances"]]
            if sum(hope) < barrier["need"]:
                return True
        return False

    def lost(self, place: int) -> bool:
        """Whether the node will not be ok any more."""
        life = self.lives[place]
        return (life.settled and life.standing != "ok") or self.doomed(place)

    def active(self) -> dict[str, Json]:
        """The instances that hold a place: instance -> one of its units."""
        return {
            node["unit"]["instance"]: node["unit"]
            for node, life in zip(self.nodes, self.lives, strict=True)
            if life.standing == "under way"
        }


class Course:
    """A run, fact by fact."""

    def __init__(self, began: Json, by: int) -> None:
        self.run: str = began["run"]
        self.began = began
        self.plan: Json = began["plan"]
        self.by = by
        self.stages = [Stage(number, data) for number, data in enumerate(self.plan["stages"])]
        self.forward = 0 if self.plan["action"] in ("rollback", "restore") else len(self.stages)
        """How many stages are not the way back."""
        self.stage = -1
        self.steps: dict[str, Json] = {}
        """Step id -> the step, who intended it and when (entry numbers), its result."""
        self.under_way: dict[str, Json] = {}
        """The same, by unit."""
        self.touched: dict[str, str] = {}
        """Unit -> where this run left it, for those that it changed or may have changed."""
        self.left: dict[str, str] = {}
        self.coming: dict[str, str] = {}
        """Unit -> where a control that was sent, and did not end well, may yet bring it."""
        self.units = {node["unit"]["id"]: node["unit"] for stage in self.stages for node in stage.nodes}
        self.failed: dict[str, None] = {}
        """Units that count against `max_failures`."""
        self.excluded: set[str] = set()
        self.spent_s: dict[str, float] = defaultdict(float)
        """How long each unit was tried on the way back."""
        self.decisions: dict[int, Json] = {}
        self.orders: list[str] = []
        self.strayed: list[Json] = []
        self.rollback: Json | None = None
        self.resumed: list[Json] = []
        self.parked = False
        self.ended: Json | None = None
        self.count = 0

    def see(self, fact: Json, by: int, number: int) -> None:
        """Fold one fact in; *number* is the log's."""
        self.count += 1
        kind = fact["kind"]
        handler = getattr(self, f"_{kind}", None)
        if handler is not None:
            handler(fact, by, number)

    def node(self, step: Json) -> tuple[Stage, int]:
        """The stage and the place of a step's node."""
        stage = self.stages[step["stage"]]
        return stage, stage.places[step["unit"]]

    def of_life(self, step: Json) -> bool:
        """Whether the step is part of its node's life, and no look beside it or last reading."""
        if step["phase"] == "look" or not 0 <= step["stage"] < len(self.stages):
            return False
        stage = self.stages[step["stage"]]
        place = stage.places.get(step["unit"])
        return place is not None and not (step["phase"] == "read" and stage.nodes[place]["role"] == "act")

    def open_decisions(self) -> list[Json]:
        """Those that wait for an answer."""
        return [decision for decision in self.decisions.values() if decision["open"]]

    def _stage_began(self, fact: Json, by: int, number: int) -> None:
        self.stage = fact["stage"]

    def _step_intended(self, fact: Json, by: int, number: int) -> None:
        step = fact["step"]
        self.parked = False
        known = {"step": step, "by": by, "intended": number, "ended": None, "result": None, "lost": False}
        self.steps[step_id(step)] = known
        self.under_way[step["unit"]] = known
        if self.of_life(step):
            stage, place = self.node(step)
            life = stage.lives[place]
            life.standing, life.begun, life.step, life.settled = "under way", True, step_id(step), False

    def _step_ended(self, fact: Json, by: int, number: int) -> None:
        result = fact["result"]
        step = result["step"]
        known = self.steps.get(step_id(step))
        if known is None:
            return  # the rule about intents tells of it
        known["ended"], known["result"] = number, result
        if self.under_way.get(step["unit"]) is known:
            del self.under_way[step["unit"]]
        if step["phase"] in ACTS:
            self._acted(step, result)
        if self.of_life(step):
            if step["stage"] >= self.forward:
                self.spent_s[step["unit"]] += max(result["took_s"], step["delay_s"])
            self._live(step, result)

    def _acted(self, step: Json, result: Json) -> None:
        unit = step["unit"]
        if result["acted"] != "no":
            self.touched[unit] = result["after"]
            self.coming[unit] = ACTS[step["phase"]]
        self.left[unit] = result["after"]
        if result["outcome"] == "ok":
            self.coming.pop(unit, None)

    def _live(self, step: Json, result: Json) -> None:
        stage, place = self.node(step)
        life = stage.lives[place]
        if result["outcome"] != "ok":
            life.standing = result["outcome"]
            life.settled = stage.nodes[place]["unit"]["host"] in self.excluded
            if stage.number >= self.forward:
                passing = result["problem"] is not None and result["problem"]["kind"] in PASSING
                life.settled = not passing or self.spent_s[step["unit"]] >= self.plan["policy"]["rollback_timeout_s"]
            if not self.spared(stage, place):
                self.failed[step["unit"]] = None
        elif step["phase"] == stage.last_phase(place):
            life.standing = "ok"
            self.failed.pop(step["unit"], None)

    def spared(self, stage: Stage, place: int) -> bool:
        """Whether a node was only looked at, and who counts on it can still have enough without it."""
        hard = [one for one in stage.barriers if not one["soft"] and any(place in group for group in one["instances"])]
        return (
            stage.nodes[place]["role"] == "probe"
            and bool(hard)
            and all(
                sum(
                    not any(stage.lives[n].standing in ("failed", "unknown") for n in group)
                    for group in one["instances"]
                )
                >= one["need"]
                for one in hard
            )
        )

    def _order_taken(self, fact: Json, by: int, number: int) -> None:
        self.orders.append(fact["order"])

    def _strayed(self, fact: Json, by: int, number: int) -> None:
        self.strayed.append(fact)

    def _decision_asked(self, fact: Json, by: int, number: int) -> None:
        self.decisions[fact["decision"]] = {
            "number": fact["decision"],
            "cause": fact["cause"],
            "units": list(fact["cause"]["units"]),
            "choices": fact["choices"],
            "pauses": fact["pauses"],
            "open": True,
            "answer": None,
            "asked": number,
        }

    def _decision_grew(self, fact: Json, by: int, number: int) -> None:
        decision = self.decisions.get(fact["decision"])
        if decision is not None:
            decision["units"] += fact["units"]
            decision["pauses"] = decision["pauses"] or fact["pauses"]

    def _decision_withdrawn(self, fact: Json, by: int, number: int) -> None:
        decision = self.decisions.get(fact["decision"])
        if decision is None:
            return
        decision["open"] = False
        if decision["answer"] in ("skip", "exclude"):  # it came late, and met another world
            for stage in self.stages:
                for node, life in zip(stage.nodes, stage.lives, strict=True):
                    life.settled = life.settled and node["unit"]["id"] not in decision["units"]

    def _decision_answered(self, fact: Json, by: int, number: int) -> None:
        decision = self.decisions.get(fact["decision"])
        if decision is None:
            return
        decision["open"] = False
        choice = decision["answer"] = fact["answer"]["choice"]
        if choice == "continue" and decision["cause"]["kind"] == "max_failures":
            self.failed.clear()
        if choice == "retry" and fact["answer"]["source"] == "policy":
            for unit in decision["units"]:
                self.failed.pop(unit, None)
        if choice in ("skip", "exclude") or (choice == "continue" and decision["cause"]["kind"] == "failure"):
            self._settle(decision["units"], choice)

    def _settle(self, units: list[str], choice: str) -> None:
        hosts = {self.units[unit]["host"] for unit in units if unit in self.units} if choice == "exclude" else set()
        self.excluded |= hosts
        for stage in self.stages[: self.forward] if choice == "exclude" else self.stages[self.stage : self.stage + 1]:
            for node, life in zip(stage.nodes, stage.lives, strict=True):
                mine = node["unit"]["id"] in units or node["unit"]["host"] in hosts
                if mine and life.standing not in ("ok", "under way"):
                    life.settled = True

    def _rollback_began(self, fact: Json, by: int, number: int) -> None:
        self.rollback = fact
        self.forward = len(self.stages)
        self.stages += [Stage(len(self.stages) + more, data) for more, data in enumerate(fact["stages"])]
        for stage in self.stages[self.forward :]:
            for node in stage.nodes:  # what others need on the way back is looked at too
                self.units.setdefault(node["unit"]["id"], node["unit"])

    def _run_parked(self, fact: Json, by: int, number: int) -> None:
        self.parked = True

    def _run_resumed(self, fact: Json, by: int, number: int) -> None:
        self.parked = False
        self.by = by
        self.resumed.append({"epoch": fact["epoch"], "by": by, "n": number, "accept_drift": fact["accept_drift"]})
        for known in self.under_way.values():
            known["lost"] = True
            step = known["step"]
            self._perhaps_acted(step)
            if self.of_life(step):
                stage, place = self.node(step)
                stage.lives[place].standing = "waiting"
        self.under_way.clear()

    def _perhaps_acted(self, step: Json) -> None:
        """What is under way when its process is gone may have been done."""
        if step["phase"] in ACTS:
            self.touched[step["unit"]] = ""
            self.left[step["unit"]] = ""
            self.coming[step["unit"]] = ACTS[step["phase"]]

    def _run_ended(self, fact: Json, by: int, number: int) -> None:
        self.parked = False
        self.ended = fact
        for known in self.under_way.values():  # it was closed from outside
            self._perhaps_acted(known["step"])


def step_id(step: Json) -> str:
    """The key of a step, as the plan's words have it."""
    return f"{step['stage']}/{step['unit']}/{step['phase']}/{step['attempt']}"
