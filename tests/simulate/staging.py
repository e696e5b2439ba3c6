"""A stage of a run as the checker sees it: the parts of each life, how each node stands, which barriers are open.

Shares nothing with the product. A barrier is judged by looking at all its nodes again.
"""

from collections.abc import Collection
from typing import Any

Json = dict[str, Any]
Part = tuple[str, str, bool]
"""A phase, the name of its hook ("" if it is none), and whether the hook's undo is carried out."""
HOOKS = ("pre_stop", "post_stop", "pre_start", "post_start", "between")
"""The phases that carry a hook of a unit, or of a host, out."""
KEPT_DOWN = "keep_down"
"""What a unit owes that is kept down, beside the names of its hooks."""
_NOT_AT_GOAL = ("precheck", "drained", "keep_down", "start", "stop", *HOOKS[:-1])
"""What is left out for a unit that is at the goal already."""
_DOWN = ("precheck", "pre_stop", "drained", "keep_down", "stop", "kill", "post_stop", "between")
_NOTHING: Json = {"prechecks": [], "before": [], "drained": [], "after": [], "healthy_s": 0.0, "keep_down": False}


def goes_down(phase: str, hook: str) -> bool:
    """Whether such a step of a node that lives both ways is one of its way down, or of what is done there."""
    return phase in _DOWN or (phase, hook) in (("gate", "stopped"), ("release", "given_up"))


class Life:
    """How a node of a stage stands: waiting, under way, ok, failed, unknown; `settled`: nothing more comes of it."""

    __slots__ = ("at_goal", "begun", "carried", "marred", "settled", "since", "standing", "step")

    def __init__(self) -> None:
        self.standing = "waiting"
        self.begun = False
        self.settled = False
        self.step = ""
        self.since = -1
        """The entry at which it came to stand so."""
        self.at_goal = False
        self.marred = False
        """A hook after its act did not end ok, and it went on."""
        self.carried: set[Part] = set()
        """The hooks that ended ok."""


class Stage:
    """A stage with the lives of its nodes."""

    def __init__(self, number: int, data: Json) -> None:
        self.number = number
        self.goal: str = data["goal"]
        self.checks: bool = data["checks"]
        self.between: bool = data["between"]
        self.nodes: list[Json] = data["nodes"]
        self.barriers: list[Json] = data["barriers"]
        self.limits: Json = data["limits"]
        self.lives = [Life() for _ in self.nodes]
        self.places = {node["unit"]["id"]: place for place, node in enumerate(self.nodes)}
        self.parts = [self._parts(node) for node in self.nodes]
        """Of each node what it does, in order; nothing for one that only hands the order on."""

    def _parts(self, node: Json) -> list[Part]:
        gate: list[Part] = [("gate", "", False)] if node["gates"] else []
        if node["role"] == "pass":
            return []
        if node["batch"] is not None:
            return [("count", "", False)]
        if self.between:
            return [("between", hook["name"], False) for hook in node["life"]["before"]]
        if node["role"] == "probe":
            read = not self.checks and node["unit"]["scm_name"] is not None and node["unit"]["host"] is not None
            return [*([("read", "", False)] if read else []), *gate]
        if node["down"] is not None:
            down, up = node["down"]["life"] or _NOTHING, node["life"] or _NOTHING
            return [
                *([("read", "first", False)] if _beside(down) or _beside(up) else []),
                *_one_way(down, [("gate", "stopped", False)] if node["down"]["gates"] else [], up=False),
                *(("between", hook["name"], False) for hook in node["down"]["between"]),
                *_one_way(up, gate, up=True),
            ]
        life = node["life"] or _NOTHING
        first: list[Part] = [("read", "first", False)] if _beside(life) else []
        return [*first, *_one_way(life, gate, up=self.goal == "Running")]

    def goal_of(self, step: Json) -> str:
        """Where the step is to bring its unit: a node that lives both ways goes down first."""
        both = self.nodes[self.places[step["unit"]]]["down"] is not None
        return "Stopped" if both and goes_down(step["phase"], step["hook"]) else self.goal

    def first_goal(self, place: int) -> str:
        """Where the node brings its unit with its first act."""
        return self.goal if self.nodes[place]["down"] is None else "Stopped"

    def life_down(self, place: int) -> Json | None:
        """What the node does around its stop."""
        node = self.nodes[place]
        life: Json | None = node["life"] if node["down"] is None else node["down"]["life"]
        return life

    def there(self, place: int, phase: str, hook: str) -> bool:
        """Whether the unit was where that way brings it when its turn came: one found down still comes up."""
        return self.lives[place].at_goal and (self.nodes[place]["down"] is None or goes_down(phase, hook))

    def at(self, place: int, step: Json) -> int:
        """Which part of the node's life a step is; -1 if none. The end of a process is what the stop before it is."""
        phase = "stop" if step["phase"] == "kill" else step["phase"]
        same = (n for n, part in enumerate(self.parts[place]) if part[:2] == (phase, step["hook"]))
        return next(same, -1)

    def act_at(self, place: int) -> int:
        """Which part is the first start or stop; -1 if none is."""
        acts = (n for n, part in enumerate(self.parts[place]) if part[0] in ("start", "stop"))
        return next(acts, -1)

    def following(
        self, place: int, step: Json, owed: Collection[str], spent: Collection[str], *, back: bool
    ) -> Part | None:
        """What the node does after a step that ended ok; None if that was all. *owed*: what may have to be undone.
        *spent*: what may have been undone, and must not be twice."""
        left = [part for part in self.parts[place][self.at(place, step) + 1 :] if not (part[2] and part[1] in spent)]
        return next((part for part in left if not self._left_out(place, part, owed, back=back)), None)

    def _left_out(self, place: int, part: Part, owed: Collection[str], *, back: bool) -> bool:
        phase, hook, undoes = part
        if phase in HOOKS and part in self.lives[place].carried:
            return True
        there = self.there(place, phase, hook)
        if undoes:
            return (back or there) and hook not in owed
        if phase == "release":
            return back and KEPT_DOWN not in owed
        return there and phase in _NOT_AT_GOAL

    def hook(self, place: int, step: Json) -> Json | None:
        """The hook that a step of the node carries out or undoes."""
        if step["phase"] not in (*HOOKS, "undo"):
            return None
        node = self.nodes[place]
        own, down = node["life"] or _NOTHING, node["down"]
        here = [*own["before"], *own["after"]]
        if down is not None:
            beside = down["life"] or _NOTHING
            there = [*beside["before"], *beside["after"], *down["between"]]
            falls = goes_down(step["phase"], "") or (
                step["phase"] == "undo" and any(hook["name"] == step["hook"] and not hook["undoes"] for hook in there)
            )
            here = there if falls else here
        return next((hook for hook in here if hook["name"] == step["hook"]), None)

    def ok(self, place: int) -> bool:
        """Whether the node is where it should be, as observed. One without steps is, when what it waits for is."""
        if self.parts[place]:
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
        passed = not self.parts[place] and self.free(place)
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

    def spared(self, place: int) -> bool:
        """Whether a node was only looked at, and who counts on it can still have enough without it."""
        hard = [one for one in self.barriers if not one["soft"] and any(place in group for group in one["instances"])]
        return (
            self.nodes[place]["role"] == "probe"
            and bool(hard)
            and all(
                sum(
                    not any(self.lives[n].standing in ("failed", "unknown") for n in group)
                    for group in one["instances"]
                )
                >= one["need"]
                for one in hard
            )
        )

    def active(self) -> dict[str, Json]:
        """The instances that hold a place: instance -> one of its units. What stands between batches holds none."""
        return {
            node["unit"]["instance"]: node["unit"]
            for node, life in zip(self.nodes, self.lives, strict=True)
            if life.standing == "under way" and node["batch"] is None
        }


def _beside(life: Json) -> bool:
    """Whether a life has more than its act, its gates and its patience."""
    return bool(life["before"] or life["after"] or life["prechecks"] or life["drained"] or life["keep_down"])


def _one_way(life: Json, gate: list[Part], *, up: bool) -> list[Part]:
    before, after = ("pre_start", "post_start") if up else ("pre_stop", "post_stop")
    kept: list[Part] = [("release" if up else "keep_down", "", False)] if life["keep_down"] else []
    return [
        *([("precheck", "", False)] if life["prechecks"] else []),
        *((before, hook["name"], hook["undoes"]) for hook in life["before"]),
        *([("drained", "", False)] if life["drained"] else []),
        *kept,
        ("start" if up else "stop", "", False),
        *gate,
        *([("healthy", "", False)] if up and life["healthy_s"] > 0 else []),
        *((after, hook["name"], hook["undoes"]) for hook in life["after"]),
    ]
