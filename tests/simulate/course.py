"""One run as its facts tell it: plain JSON folded the slow and plain way, for the checker's rules to ask.

Shares nothing with the product. A barrier is judged by looking at all its nodes again.
"""

from collections import defaultdict

from staging import HOOKS, KEPT_DOWN, Json, Stage

ACTS = {"start": "Running", "stop": "Stopped"}
"""Phases that send a control, and where it brings a unit."""
BRINGS = {**ACTS, "kill": "Stopped"}
"""The same, with what ends a process."""
CHANGES = (*HOOKS, "undo", "keep_down", "release")
"""Phases that change something beside the state of a service."""
TOWARDS = {"Running": ("Running", "StartPending", "ContinuePending"), "Stopped": ("Stopped", "StopPending")}
PASSING = ("unreachable", "quota", "protocol")
"""Problems that the way back tries again, until its time is over."""
LATE_S = 60.0
"""An answer that took longer counts only after a look."""
RUN = "run"
"""The unit of steps that belong to the run as a whole."""


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
        self.watches: dict[str, Json] = {}
        """Those that watch a unit that came to its goal, by unit."""
        self.owed: dict[str, dict[str, None]] = defaultdict(dict)
        """Unit -> hooks of it that may be in effect and can be undone, and KEPT_DOWN."""
        self.spent: dict[str, set[str]] = defaultdict(set)
        """Unit -> hooks whose undo may have been carried out, and is not by itself once more."""
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
        self.hands_off: set[str] = set()
        """Why nothing is killed without a person's word: cancelled, leaving, held."""
        self.strayed: list[Json] = []
        self.rollback: Json | None = None
        self.resumed: list[Json] = []
        self.parked = False
        self.ended: Json | None = None
        self.count = 0
        if not self.forward:
            self._owes_all()

    def _owes_all(self) -> None:
        """A rollback of its own has the undos in its plan that are due, and no others."""
        for stage in self.stages:
            for node, parts in zip(stage.nodes, stage.parts, strict=True):
                names = [
                    hook if phase in HOOKS else KEPT_DOWN
                    for phase, hook, undoes in parts
                    if undoes or phase == "release"
                ]
                self.owed[node["unit"]["id"]].update(dict.fromkeys(names))

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

    def hook(self, step: Json) -> Json | None:
        """The hook that a step carries out or undoes, be it the run's."""
        if step["unit"] == RUN:
            hooks = self.plan["hooks"]
            every = (*hooks["begin"], *hooks["end"], *hooks["failure"])
            return next((hook for hook in every if hook["name"] == step["hook"]), None)
        stage, place = self.node(step)
        return stage.hook(place, step)

    def of_life(self, step: Json) -> bool:
        """Whether the step is part of its node's life: no look beside it, no last reading, no undo of one given up."""
        if step["phase"] in ("look", "watch", "undo") or not 0 <= step["stage"] < len(self.stages):
            return False
        stage = self.stages[step["stage"]]
        place = stage.places.get(step["unit"])
        if place is None or (step["phase"] == "release" and (stage.goal == "Stopped" or step["hook"] == "given_up")):
            return False
        return not (step["phase"] == "read" and stage.nodes[place]["role"] == "act" and not step["hook"])

    def goes_on(self, step: Json) -> bool:
        """Whether the step goes on with a life that is under way, and begins nothing."""
        stage, place = self.node(step)
        return stage.lives[place].standing == "under way"

    def back(self, stage: Stage) -> bool:
        """Whether that stage is one of a way back."""
        return stage.number >= self.forward

    def open_decisions(self) -> list[Json]:
        """Those that wait for an answer."""
        return [decision for decision in self.decisions.values() if decision["open"]]

    def _stage_began(self, fact: Json, by: int, number: int) -> None:
        self.stage = fact["stage"]
        self.watches.clear()
        now = self.stages[self.stage]
        for before in self.stages[: self.stage]:
            if before.checks and self.stage < self.forward:
                for place, node in enumerate(before.nodes):
                    mine = now.places.get(node["unit"]["id"])
                    if mine is not None and not before.ok(place) and before.goal in (now.goal, now.first_goal(mine)):
                        now.lives[mine].settled = True
        if now.between:  # nothing is done where something may be up
            down = self.stages[self.stage - 1]
            ends = [(node, down.ok(place)) for place, node in enumerate(down.nodes) if node["role"] == "act"]
            up = {node["unit"]["host"] for node, ok in ends if not ok}
            for node, life in zip(now.nodes, now.lives, strict=True):
                life.settled = node["unit"]["host"] in up

    def _step_intended(self, fact: Json, by: int, number: int) -> None:
        step = fact["step"]
        self.parked = False
        known = {"step": step, "by": by, "intended": number, "ended": None, "result": None, "lost": False}
        self.steps[step_id(step)] = known
        if step["phase"] == "watch":
            self.watches[step["unit"]] = known
            return
        self.under_way[step["unit"]] = known
        if self.of_life(step):
            stage, place = self.node(step)
            life = stage.lives[place]
            life.standing, life.begun, life.step, life.settled = "under way", True, step_id(step), False
            if step["hook"] == "first" or step["phase"] in HOOKS:
                life.carried.discard(step["hook"])
            if step["hook"] == "first":
                life.carried.clear()

    def _step_ended(self, fact: Json, by: int, number: int) -> None:
        result = fact["result"]
        step = result["step"]
        known = self.steps.get(step_id(step))
        if known is None or (known["lost"] and step["phase"] == "count"):
            return  # the rule about intents tells of it; or it was broken off
        known["ended"], known["result"] = number, result
        for busy in (self.under_way, self.watches):
            if busy.get(step["unit"]) is known:
                del busy[step["unit"]]
        self._acted(step, result)
        if step["phase"] in (*CHANGES, "on_begin"):
            self._did(step, result)
        if step["phase"] == "watch":
            self._died(step, result, number)
        elif self.of_life(step):
            if step["stage"] >= self.forward:
                self.spent_s[step["unit"]] += max(result["took_s"], step["delay_s"])
            self._live(step, result, number)

    def _acted(self, step: Json, result: Json) -> None:
        unit, phase = step["unit"], step["phase"]
        if unit == RUN or phase == "look" or (phase == "read" and not self.of_life(step)):
            return
        if result["acted"] != "no" and self._has_a_state(unit):
            self.touched[unit] = result["after"]
        if phase in BRINGS:
            if result["acted"] != "no":
                self.coming[unit] = BRINGS[phase]
            if result["outcome"] == "ok":
                self.coming.pop(unit, None)
        if phase in (*BRINGS, "read") or (result["after"] and phase != "gate"):
            self.left[unit] = result["after"]

    def _has_a_state(self, unit: str) -> bool:
        """Whether it could be put back: no host between stop and start can."""
        return self.units[unit]["scm_name"] is not None

    def _did(self, step: Json, result: Json | None) -> None:
        """Something beside a service was done or undone; *result* None: nobody knows."""
        hook = self.hook(step)
        name = name_of(step)
        if step["phase"] in ("undo", "release") or (hook is not None and hook["undoes"]):
            if result is not None and result["outcome"] == "ok":
                self.owed[step["unit"]].pop(name, None)
                self.spent[step["unit"]].discard(name)
            elif hook is not None and not repeatable(hook) and (result is None or result["acted"] != "no"):
                self.spent[step["unit"]].add(name)
        elif (hook is None or hook["undo"] is not None) and (result is None or result["acted"] != "no"):
            self.owed[step["unit"]][name] = None
            self.spent[step["unit"]].discard(name)

    def _died(self, step: Json, result: Json, number: int) -> None:
        """A unit that others count on went away."""
        if result["outcome"] == "ok":
            return
        stage, place = self.node(step)
        life = stage.lives[place]
        life.standing, life.since, life.step, life.at_goal = result["outcome"], number, step_id(step), False
        self.failed[step["unit"]] = None

    def _live(self, step: Json, result: Json, number: int) -> None:
        stage, place = self.node(step)
        life = stage.lives[place]
        if result["outcome"] == "ok":
            self._goes_well(stage, place, result, number)
            return
        kills = (stage.life_down(place) or {}).get("if_stuck") == "kill"
        if stuck(step, result) and not self.hands_off and kills:
            return  # its process is ended next
        life.standing, life.since = result["outcome"], number
        self._back_to_the_act(stage, place, step)
        life.settled = stage.nodes[place]["unit"]["host"] in self.excluded
        if stage.number >= self.forward:
            passing = result["problem"] is not None and result["problem"]["kind"] in PASSING
            hook = stage.hook(place, step)
            once = hook is not None and not repeatable(hook) and result["acted"] != "no"
            over = self.spent_s[step["unit"]] >= self.plan["policy"]["rollback_timeout_s"]
            life.settled = not passing or once or over
            self._goes_past(stage, place, step, number)
        if not stage.spared(place):
            self.failed[step["unit"]] = None

    def _goes_past(self, stage: Stage, place: int, step: Json, number: int) -> None:
        """On a way back a hook after the act that did not end ok holds up neither others nor what is left to do."""
        life = stage.lives[place]
        if not life.settled or step["phase"] not in HOOKS or stage.at(place, step) < stage.act_at(place):
            return
        life.settled, life.marred = False, True
        owed, spent = self.owed[step["unit"]], self.spent[step["unit"]]
        over = stage.following(place, step, owed, spent, back=True) is None
        life.standing, life.since = ("ok" if over else "waiting"), number

    @staticmethod
    def _back_to_the_act(stage: Stage, place: int, step: Json) -> None:
        """A gate that failed sends its node back to the act before; one that had none to do looks again."""
        gate = step["phase"] in ("gate", "healthy") and stage.there(place, step["phase"], step["hook"])
        if gate or stage.at(place, step) == 0:
            stage.lives[place].at_goal = False

    def _goes_well(self, stage: Stage, place: int, result: Json, number: int) -> None:
        life, step = stage.lives[place], result["step"]
        if step["phase"] in HOOKS:
            life.carried.add(stage.parts[place][stage.at(place, step)])
        elif step["hook"] == "first":
            life.at_goal = result["after"] == stage.first_goal(place)
        owed, spent = self.owed[step["unit"]], self.spent[step["unit"]]
        if stage.following(place, step, owed, spent, back=self.back(stage)) is None:
            life.standing, life.since = "ok", number
            self.failed.pop(step["unit"], None)

    def _order_taken(self, fact: Json, by: int, number: int) -> None:
        self.orders.append(fact["order"])
        if fact["order"] == "cancel":
            self.hands_off.add("cancelled")
            self._break_off()

    def _break_off(self) -> None:
        """Who only waits before a batch waits no longer, and begins anew if the run goes on."""
        for unit in [unit for unit, known in self.under_way.items() if known["step"]["phase"] == "count"]:
            known = self.under_way.pop(unit)
            known["lost"] = True
            stage, place = self.node(known["step"])
            stage.lives[place].standing = "waiting"

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
        if decision["cause"]["kind"] == "cancelled" and choice != "hold":
            self.hands_off.discard("cancelled")
        self.hands_off.discard("held")
        if choice in ("hold", "abort") or (choice == "rollback" and fact["answer"]["waited_s"] <= LATE_S):
            self.hands_off.add("held" if choice == "hold" else "leaving")
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
        self.hands_off.clear()
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
        self.hands_off.discard("held")
        self.resumed.append({"epoch": fact["epoch"], "by": by, "n": number, "accept_drift": fact["accept_drift"]})
        self.watches.clear()
        for known in self.under_way.values():
            known["lost"] = True
            step = known["step"]
            self._perhaps_acted(step)
            if self.of_life(step):
                self._lost(step, number)
        self.under_way.clear()

    def _lost(self, step: Json, number: int) -> None:
        """What was under way goes again, but a hook that must not be carried out twice: nobody knows of that one."""
        stage, place = self.node(step)
        life, hook = stage.lives[place], stage.hook(place, step)
        life.standing = "waiting"
        self._back_to_the_act(stage, place, step)
        if hook is not None and not repeatable(hook):
            life.standing, life.since = "unknown", number
            life.settled = self.back(stage) or stage.nodes[place]["unit"]["host"] in self.excluded
            self.failed[step["unit"]] = None
            if self.back(stage):
                self._goes_past(stage, place, step, number)

    def _perhaps_acted(self, step: Json) -> None:
        """What is under way when its process is gone may have been done."""
        unit, phase = step["unit"], step["phase"]
        if phase in BRINGS:
            self.touched[unit] = ""
            self.left[unit] = ""
            self.coming[unit] = BRINGS[phase]
        elif phase in (*CHANGES, "on_begin"):
            if unit != RUN and self._has_a_state(unit):
                self.touched.setdefault(unit, self.left.get(unit, ""))
            self._did(step, None)

    def _run_ended(self, fact: Json, by: int, number: int) -> None:
        self.parked = False
        self._break_off()
        self.ended = fact
        for known in self.under_way.values():  # it was closed from outside
            self._perhaps_acted(known["step"])


def found_last(course: Course, unit: str) -> str | None:
    """Where the last look found *unit*; None if nobody looked."""
    looks = [
        (known["ended"], known["result"]["after"])
        for known in course.steps.values()
        if known["step"]["unit"] == unit and known["step"]["phase"] == "look" and known["ended"] is not None
    ]
    return str(max(looks)[1]) if looks else None


def step_id(step: Json) -> str:
    """The key of a step, as the plan's words have it."""
    phase = f"{step['phase']}:{step['hook']}" if step["hook"] else step["phase"]
    return f"{step['stage']}/{step['unit']}/{phase}/{step['attempt']}"


def name_of(step: Json) -> str:
    """The name of what a step does or undoes beside its unit."""
    return KEPT_DOWN if step["phase"] in ("keep_down", "release") else str(step["hook"])


def stuck(step: Json, result: Json) -> bool:
    """Whether a stop failed for a service that hangs on its way down, or a process that outlived it."""
    kind = (result["problem"] or {}).get("kind")
    hangs = kind == "timeout" and result["after"] == "StopPending"
    return step["phase"] == "stop" and result["outcome"] == "failed" and (hangs or kind == "orphan")


def repeatable(hook: Json) -> bool:
    """Whether a hook may be carried out again by itself when its answer was lost: a host's start tells of a reboot."""
    return bool(hook["idempotent"]) or hook["check"] is not None or hook["do"]["kind"] == "reboot"
