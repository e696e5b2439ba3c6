"""One stage as eyes see it: where every unit stands, counts per service, what holds up what, and how long it may take.

Room: domain. `RunState` decides what happens next; this only retells what did, and is never asked for a decision.
"""

from itertools import chain, islice

from orchestrator.domain.durations import spoken
from orchestrator.domain.facts import Stamped
from orchestrator.domain.plan import Barrier, Role, Stage
from orchestrator.domain.results import Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import UNREAD, Standing
from orchestrator.domain.schedule import phases
from orchestrator.domain.service import State
from orchestrator.domain.track import ServiceRow, Track, Wait

LOOKED_AT = 64
"""How many of the units under way are looked at for what they hold up: more would not fit on a screen."""
LOST = "it was under way when its process was lost"
_ENDED = {Outcome.OK: Standing.OK, Outcome.FAILED: Standing.FAILED, Outcome.UNKNOWN: Standing.UNKNOWN}


class StageProgress:
    """Folds what happens to the units of one stage.

    Cost: building and `close` O(nodes + edges) and a sort by rank; `begin` and `end` O(neighbours); the
    rest O(1), amortised.
    """

    def __init__(self, number: int, stage: Stage) -> None:
        self.number = number
        self.stage = stage
        self.rows: dict[str, ServiceRow] = {}
        self.tracks: dict[str, Track] = {}
        self.under_way: dict[str, Track] = {}
        """In the order in which their phases began: the longest under way comes first."""
        self.suspended: dict[str, Track] = {}
        """Units that ended badly and of which nothing is decided yet: what waits for them waits."""
        self.ready = 0
        """Units that wait for a free place alone."""
        self.work_left_s = 0.0
        self._nodes: list[Track | None] = []
        self._lasts: dict[str, Phase] = {}
        self._indices: dict[str, int] = {}
        self._outcomes: list[bool | None] = [None] * len(stage.nodes)
        for index, node in enumerate(stage.nodes):
            life = phases(node, stage.goal)
            track = self._track(index, life[-1]) if life else None
            self._nodes.append(track)
        self.work_s = self.work_left_s
        ranked = [track for track in self._nodes if track is not None]
        self._by_rank = sorted(ranked, key=lambda track: -track.rank_s)
        self._next_rank = 0
        self._wire(stage)

    def _track(self, index: int, last: Phase) -> Track:
        node = self.stage.nodes[index]
        unit = node.unit
        seen = str(unit.seen.state) if unit.seen else ""
        track = Track(
            unit=unit.id,
            service=unit.service,
            host=unit.host,
            stage=self.number,
            goal=self.stage.goal,
            role=node.role,
            expected_s=node.expected_s,
            rank_s=node.rank_s,
            timeout_s=node.timeout_s,
            gates_s=max((gate.deadline_s for gate in node.gates), default=0.0),
            before=seen,
            now=seen,
        )
        row = self.rows.setdefault(unit.service, ServiceRow(unit.service))
        row.total += 1
        row.counts[Standing.WAITING] += 1
        self.tracks[unit.id] = track
        self._lasts[unit.id] = last
        self._indices[unit.id] = index
        self.work_left_s += node.expected_s
        return track

    def _wire(self, stage: Stage) -> None:
        self._waiters: list[list[int]] = [[] for _ in stage.barriers]
        self._waits = [len(node.waits_for) for node in stage.nodes]
        for index, node in enumerate(stage.nodes):
            for barrier in node.waits_for:
                self._waiters[barrier].append(index)
        tracks = [[track for node in waiters if (track := self._nodes[node])] for waiters in self._waiters]
        alike: dict[tuple[int, ...], int] = {}
        self._alike = [alike.setdefault(tuple(waiters), barrier) for barrier, waiters in enumerate(self._waiters)]
        self._first_waiters = [(waiters[0], len(waiters)) if waiters else None for waiters in tracks]
        self._shares: list[list[int]] = [[] for _ in stage.nodes]
        self._share_of: list[int] = []
        self._share_left: list[int] = []
        self._barrier_left: list[int] = []
        self._nodes_left = [sum(map(len, barrier.instances)) for barrier in stage.barriers]
        for number, gathering in enumerate(stage.barriers):
            together = tuple(node for group in gathering.instances for node in group)
            groups = (together,) if gathering.soft else gathering.instances
            for group in groups:
                for member in group:
                    self._shares[member].append(len(self._share_of))
                self._share_of.append(number)
                self._share_left.append(len(group))
            self._barrier_left.append(1 if gathering.soft else gathering.need)
        free = [index for index, waits in enumerate(self._waits) if waits == 0]
        self.ready = sum(self._nodes[index] is not None for index in free)
        for index in free:
            self._pass_on(index)

    def begin(self, step: Step, stamped: Stamped) -> None:
        """A step was issued. The reading at the end, and units that are not of this stage, change nothing."""
        track = self._mine(step)
        if track is None:
            return
        if track.standing is Standing.WAITING:
            self.ready -= self._waits[self._indices[step.unit]] == 0
            track.began_at = stamped.at
            self._stand(track, Standing.UNDER_WAY)
        track.phase, track.note, track.lost = step.phase, _again(track, step), False
        track.attempts = max(track.attempts, step.attempt)
        self._under_way_since(track, stamped.elapsed_s)

    def note(self, step: Step, text: str) -> None:
        """What a step saw on its way."""
        track = self._mine(step)
        if track is not None and track.standing is Standing.UNDER_WAY:
            track.note = text

    def end(self, result: Result, stamped: Stamped) -> Track | None:
        """A step ended. Returns the unit's track if that ended the unit in this stage.

        One that ended badly and is not spared is suspended, until `again` or `settle` says what becomes of it.
        """
        step = result.step
        track = self.tracks.get(step.unit)
        if track is None:
            return None
        if result.after:
            track.now = result.after
        elif result.outcome is not Outcome.OK and step.phase is not Phase.GATE:
            track.now = UNREAD
        track.exchanges += result.exchanges
        if self._mine(step) is None:
            return None
        track.take(result, stamped.at)
        if result.outcome is Outcome.OK and step.phase is not self._lasts[step.unit]:
            self._under_way_since(track, stamped.elapsed_s)
            return None
        self.under_way.pop(step.unit, None)
        self.work_left_s -= track.expected_s
        self._stand(track, _ENDED[result.outcome])
        index = self._indices[step.unit]
        well = result.outcome is Outcome.OK
        if not well and not self._spares(index):
            self.suspended[step.unit] = track
        elif self._outcomes[index] is None:
            self._settle(index, well)
        return track

    def again(self, unit: str) -> Track | None:
        """*unit*, which has ended, goes back into the queue. Returns its track; None if it has not ended."""
        track = self.tracks.get(unit)
        if track is None or track.standing not in _ENDED.values():
            return None
        self.suspended.pop(unit, None)
        self.work_left_s += track.expected_s
        self._stand(track, Standing.WAITING)
        self.ready += 1
        self._next_rank = 0
        return track

    def settle(self, unit: str, set_aside: str) -> None:
        """*unit*, which was suspended, stays as it is: what needs it never begins."""
        track = self.suspended.pop(unit, None)
        if track is not None:
            track.set_aside = set_aside
            self._settle(self._indices[unit], False)

    def looked(self, unit: str, result: Result) -> None:
        """*unit* was read beside its own steps."""
        if unit in self.tracks:
            self.tracks[unit].now = result.after or UNREAD
            self.tracks[unit].exchanges += result.exchanges

    def exclude(self, host: str, why: str) -> None:
        """Do without *host* from here on: its units that did not begin are not touched, and those that were to go again
        stay as they are. Cost: O(units)."""
        for track in [track for track in self.tracks.values() if track.host == host]:
            if track.unit in self.suspended:
                self.settle(track.unit, "excluded")
            elif track.standing is Standing.WAITING and not track.lost:
                index = self._indices[track.unit]
                self.ready -= self._waits[index] == 0
                self.work_left_s -= track.expected_s
                track.set_aside, track.why = "excluded", why
                self._stand(track, _ENDED[track.result.outcome] if track.result else Standing.UNTOUCHED)
                self._settle(index, False)

    def lose(self) -> None:
        """The process that carried the steps out is gone: what was under way is due again."""
        for track in self.under_way.values():
            track.lost, track.note = True, ""
            if track.phase in (Phase.START, Phase.STOP) and track.acted is Acted.NO:
                track.acted = Acted.MAYBE
            self._stand(track, Standing.WAITING)
            self.ready += 1
        self.under_way.clear()

    def _spares(self, index: int) -> bool:
        """Whether a node, which ended badly, was only looked at, and whoever counts it can have enough without it.

        As `Schedule.spared` has it. Cost: O(the nodes of its barriers); only asked when something is wrong.
        """
        shares = self._shares[index]
        counting = [gathering for one in shares if not (gathering := self.stage.barriers[self._share_of[one]]).soft]
        probed = self.stage.nodes[index].role is Role.PROBE
        return probed and bool(counting) and all(self._enough(gathering, without=index) for gathering in counting)

    def _enough(self, gathering: Barrier, without: int) -> bool:
        lost = sum(any(self._is_lost(node, without) for node in group) for group in gathering.instances)
        return len(gathering.instances) - lost >= gathering.need

    def _is_lost(self, node: int, without: int) -> bool:
        track = self._nodes[node]
        return node == without or self._outcomes[node] is False or (track is not None and track.unit in self.suspended)

    def state_of(self, unit: str) -> str:
        """The unit's state as last read; "" if it never was, or is not of this stage."""
        return self.tracks[unit].now if unit in self.tracks else ""

    def found(self, unit: str, state: str) -> None:
        """An earlier stage left *unit* in *state*."""
        if unit in self.tracks:
            self.tracks[unit].before = self.tracks[unit].now = state

    def close(self, why: str) -> list[Track]:
        """The stage is over: what still waits was not touched, because of a unit that it needs, or because of *why*.

        What was to go again is as it was before; what was lost with its process is unknown. These are returned.
        """
        for unit in self.suspended:
            self._outcomes[self._indices[unit]] = False
        bad = []
        for index, track in enumerate(self._nodes):
            if track is not None and track.standing is Standing.WAITING and (track.lost or track.result):
                track.why = LOST if track.lost else "it was to be done again"
                ended = _ENDED[track.result.outcome] if track.result else Standing.UNKNOWN
                self._stand(track, ended)
                self._outcomes[index] = ended is Standing.OK
                bad += [] if ended is Standing.OK else [track]
        causes = self._causes()
        for index, track in enumerate(self._nodes):
            if track is not None and track.standing is Standing.WAITING:
                track.why = causes[index] or why
                self._stand(track, Standing.UNTOUCHED)
        self.suspended.clear()
        self.ready = 0
        return bad

    def waits(self, *, most: int, held_by: int) -> list[Wait]:
        """What waits for what, at most *most* of it, with at most *held_by* of the units that are waited for.

        Looked for among the units that are longest under way: the cost does not grow with the stage.
        """
        holding: dict[int, list[Track]] = {}
        missing: dict[int, dict[int, int]] = {}  # by what waits, which may wait for several barriers: what each lacks
        for track in islice(chain(self.under_way.values(), self.suspended.values()), LOOKED_AT):
            for barrier in dict.fromkeys(self._share_of[share] for share in self._shares[self._indices[track.unit]]):
                if self._barrier_left[barrier] > 0 and self._first_waiters[barrier]:
                    who = self._alike[barrier]
                    missing.setdefault(who, {})[barrier] = self._nodes_left[barrier]
                    tracks = holding.setdefault(who, [])
                    if track not in tracks[-1:]:
                        tracks.append(track)
        found = []
        for who, tracks in islice(holding.items(), most):
            first, units = self._first_waiters[who] or (tracks[0], 0)
            lack = sum(missing[who].values())
            found.append(Wait(first=first, units=units, held_by=tuple(tracks[:held_by]), missing=lack))
        return found

    def remaining_s(self, now_s: float) -> float:
        """How long the rest may take: the longest way ahead, or the plan's estimate by the share of work left."""
        while self._next_rank < len(self._by_rank) and _over(self._by_rank[self._next_rank]):
            self._next_rank += 1
        if self._next_rank == len(self._by_rank):
            return 0.0
        top = self._by_rank[self._next_rank]
        way_s = top.rank_s
        if top.standing is Standing.UNDER_WAY:
            way_s -= min(now_s - top.since_s, top.expected_s)
        by_work_s = self.stage.expected_s * self.work_left_s / self.work_s if self.work_s > 0 else 0.0
        return max(way_s, by_work_s, 0.0)

    def owns(self, step: Step) -> bool:
        """Whether *step* is one of its unit's own: False for readings beside them, and after the unit's end."""
        return self._mine(step) is not None

    def _mine(self, step: Step) -> Track | None:
        """The track that *step* belongs to; None for readings beside it and after its end."""
        track = self.tracks.get(step.unit)
        if track is None or _over(track):
            return None
        if step.phase is Phase.LOOK or (step.phase is Phase.READ and track.role is Role.ACT):
            return None
        return track

    def _under_way_since(self, track: Track, now_s: float) -> None:
        track.since_s = now_s
        self.under_way.pop(track.unit, None)
        self.under_way[track.unit] = track

    def _stand(self, track: Track, standing: Standing) -> None:
        counts = self.rows[track.service].counts
        counts[track.standing] -= 1
        counts[standing] += 1
        track.standing = standing

    def _settle(self, node: int, ok: bool) -> None:
        """Open what *node* opens, and hand the order on through nodes without steps. A loop: chains may be long."""
        settled = [(node, ok)]
        while settled:
            index, well = settled.pop()
            self._outcomes[index] = well
            for share in self._shares[index]:
                barrier = self._share_of[share]
                if not well and not self.stage.barriers[barrier].soft:
                    continue
                self._nodes_left[barrier] -= 1
                self._share_left[share] -= 1
                if self._share_left[share] == 0:
                    self._barrier_left[barrier] -= 1
                    if self._barrier_left[barrier] == 0:
                        settled += [(waiter, True) for waiter in self._waiters[barrier] if self._freed(waiter)]

    def _freed(self, waiter: int) -> bool:
        """One barrier less before *waiter*; True if it has no steps and passes on at once."""
        self._waits[waiter] -= 1
        if self._waits[waiter] or self._outcomes[waiter] is not None:
            return False
        track = self._nodes[waiter]
        if track is not None and track.standing is Standing.WAITING:
            self.ready += 1
        return track is None

    def _pass_on(self, index: int) -> None:
        if self._nodes[index] is None and self._outcomes[index] is None:
            self._settle(index, True)

    def _causes(self) -> list[str]:
        """Per node that did not end, which failed unit kept it from beginning; "" if none."""
        causes = [""] * len(self._nodes)
        binds = "waits for" if self.stage.goal is State.STOPPED else "needs"
        spread = [index for index, well in enumerate(self._outcomes) if well is False]
        for index in spread:
            track = self._nodes[index]
            causes[index] = f"{binds} {track.unit}, which {_ENDS[track.standing]}" if track else ""
        lost_shares: set[int] = set()
        can_open: dict[int, int] = {}
        for index in spread:  # grows while it is walked
            for share in self._shares[index]:
                barrier = self._share_of[share]
                if share in lost_shares or self.stage.barriers[barrier].soft:
                    continue
                lost_shares.add(share)
                can_open[barrier] = can_open.get(barrier, len(self.stage.barriers[barrier].instances)) - 1
                if can_open[barrier] >= self.stage.barriers[barrier].need:
                    continue
                for waiter in self._waiters[barrier]:
                    if self._outcomes[waiter] is None and not causes[waiter]:
                        causes[waiter] = causes[index]
                        spread.append(waiter)
        return causes


_ENDS = {Standing.FAILED: "failed", Standing.UNKNOWN: "is unknown", Standing.UNTOUCHED: "was excluded"}


def _over(track: Track) -> bool:
    return track.standing not in (Standing.WAITING, Standing.UNDER_WAY)


def _again(track: Track, step: Step) -> str:
    """What a unit waits for that is tried again after a pause, and why; "" if it is tried at once."""
    if step.delay_s <= 0:
        return ""
    problem = track.result.problem if track.result else None
    why = f": {problem.text}" if problem and problem.text else ""
    return f"tried again after {spoken(step.delay_s)}, attempt {step.attempt}{why}"
