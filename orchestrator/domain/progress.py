"""One stage as eyes see it: where every unit stands, counts per service, what holds up what, and how long it may take.

Room: domain. `RunState` decides what happens next; this only retells what did, and is never asked for a decision.
"""

from itertools import chain, islice

from orchestrator.domain.courses import Courses
from orchestrator.domain.durations import spoken
from orchestrator.domain.facts import UNREAD, Stamped
from orchestrator.domain.life import IfStuck
from orchestrator.domain.openings import Openings
from orchestrator.domain.parts import GIVEN_UP, is_last_reading, repeatable
from orchestrator.domain.plan import Stage
from orchestrator.domain.results import HOOKS, MOVES, Acted, Outcome, Phase, Result, Step
from orchestrator.domain.runstate import Standing
from orchestrator.domain.schedule import phases
from orchestrator.domain.service import State
from orchestrator.domain.stage_run import stuck
from orchestrator.domain.track import ServiceRow, Track, Wait

LOOKED_AT = 64
"""How many of the units under way are looked at for what they hold up: more would not fit on a screen."""
LOST = "it was under way when its process was lost"
BESIDE = (Phase.LOOK, Phase.WATCH, Phase.UNDO)
"""Steps beside a unit's own life in a stage: they neither begin it nor end it well."""
_CHANGES = (*MOVES, *HOOKS, Phase.KEEP_DOWN, Phase.RELEASE)
"""Steps that change something on a host: whatever was lost of them may have been done."""
_ACTS = {State.STOPPED: "stop", State.RUNNING: "start"}


class StageProgress:
    """Folds what happens to the units of one stage.

    Cost: building and `close` O(nodes + edges) and a sort by rank; `begin` and `end` O(neighbours); the
    rest O(1), amortised.
    """

    def __init__(self, number: int, stage: Stage, courses: Courses | None = None) -> None:
        self.number = number
        self.stage = stage
        self._courses = courses or Courses(stage, {})
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
        for index, node in enumerate(stage.nodes):
            life = phases(node, stage.goal, checks=stage.checks)
            track = self._track(index, life[-1]) if life else None
            self._nodes.append(track)
        self.work_s = self.work_left_s
        ranked = [track for track in self._nodes if track is not None]
        self._by_rank = sorted(ranked, key=lambda track: -track.rank_s)
        self._next_rank = 0
        self._openings = Openings(stage, [track is not None for track in self._nodes])
        waits = self._openings.waits
        self.ready = sum(track is not None and waits[index] == 0 for index, track in enumerate(self._nodes))

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
            life=node.life,
            down=node.down,
            batch=node.batch,
            checks=self.stage.checks,
        )
        row = self.rows.setdefault(unit.service, ServiceRow(unit.service))
        if node.batch is None:
            row.total += 1
            row.counts[Standing.WAITING] += 1
        else:
            row.batches = node.batch.of
        self.tracks[unit.id] = track
        self._lasts[unit.id] = last
        self._indices[unit.id] = index
        self.work_left_s += node.expected_s
        return track

    def begin(self, step: Step, stamped: Stamped) -> None:
        """A step was issued. The reading at the end, and units that are not of this stage, change nothing."""
        track = self._mine(step)
        if track is None:
            return
        if track.standing is Standing.WAITING:
            self.ready -= self._openings.waits[self._indices[step.unit]] == 0
            track.began_at = stamped.at
            self._stand(track, Standing.UNDER_WAY)
        track.begin(step)
        track.note, track.lost = _again(track, step), False
        track.attempts = max(track.attempts, step.attempt)
        self._under_way_since(track, stamped.elapsed_s)

    def note(self, step: Step, text: str) -> None:
        """What a step saw on its way."""
        track = self.tracks.get(step.unit)
        if track is not None and track.busy and track.step == step:
            track.note = text

    def end(self, result: Result, stamped: Stamped, *, kills: bool = True) -> Track | None:
        """A step ended. Returns the unit's track if that ended the unit in this stage.

        One that ended badly and is not spared is suspended, until `again` or `settle` says what becomes of it.
        """
        step = result.step
        track = self.tracks.get(step.unit)
        if track is None:
            return None
        track.saw(result)
        if self.is_beside(step):
            return self._end_beside(track, result, stamped)
        return self._end_own(track, result, stamped, kills=kills) if self._mine(step) is not None else None

    def _end_own(self, track: Track, result: Result, stamped: Stamped, *, kills: bool) -> Track | None:
        step = result.step
        track.take(result, stamped.at)
        track.busy = False
        life = track.life_at(step)
        killed = kills and life is not None and life.if_stuck is IfStuck.KILL and stuck(result)
        if killed or (result.outcome is Outcome.OK and not self._is_last(result)):
            self._under_way_since(track, stamped.elapsed_s)
            return None
        if result.outcome is not Outcome.OK:
            self._courses.failed(step)
        self.under_way.pop(step.unit, None)
        self.work_left_s -= track.expected_s
        self._stand(track, Standing(result.outcome.value))
        index = self._indices[step.unit]
        well = result.outcome is Outcome.OK
        if not well and not self._spares(index):
            self.suspended[step.unit] = track
        elif self._openings.outcomes[index] is None:
            self._settle(index, well)
        return track

    def _is_last(self, result: Result) -> bool:
        """Whether nothing of the unit's life in this stage comes after a step that ended well."""
        if result.step.unit in self._courses:
            return self._courses.ends_with(result)
        return result.step.phase is self._lasts[result.step.unit]

    def is_beside(self, step: Step) -> bool:
        """Whether *step* is no part of its unit's life in this stage. On the way down a release is the undo of a unit
        that is given up."""
        given_up = step.hook == GIVEN_UP or self.stage.goal is State.STOPPED
        return step.phase in BESIDE or (step.phase is Phase.RELEASE and given_up)

    def beside(self, step: Step, stamped: Stamped) -> None:
        """A step beside the unit's own life was issued. An undo is seen, for somebody waits for it; whoever was on the
        way to its act is given up with it."""
        track = self.tracks.get(step.unit)
        if track is None or not self.is_beside(step) or step.phase in (Phase.LOOK, Phase.WATCH):
            return
        if track.standing is Standing.UNDER_WAY and not track.busy:
            self._withdraw(track)
        track.begin(step)
        track.note = ""
        self._under_way_since(track, stamped.elapsed_s)

    def _end_beside(self, track: Track, result: Result, stamped: Stamped) -> Track | None:
        """An undo has ended, or a watch: if that saw its unit go, the unit has failed after all, and is returned."""
        if result.step.phase is not Phase.WATCH:
            self.under_way.pop(track.unit, None)
            track.busy = False
            track.undos += (result,)
        elif result.outcome is not Outcome.OK and track.standing is Standing.OK:
            track.step = result.step
            track.take(result, stamped.at)
            self._courses.failed(result.step)
            self._stand(track, Standing(result.outcome.value))
            self.suspended[track.unit] = track
            return track
        return None

    def _withdraw(self, track: Track) -> None:
        """Nothing more is done for a unit that is between two steps: it never comes to its act."""
        self.under_way.pop(track.unit, None)
        self.work_left_s -= track.expected_s
        before = "restart was over" if track.down is not None else _ACTS[self.stage.goal]
        track.why = f"given up after {track.words}, before its {before}" if track.batch is None else "broken off"
        self._stand(track, Standing.UNTOUCHED)
        if self._openings.outcomes[self._indices[track.unit]] is None:
            self._settle(self._indices[track.unit], False)

    def reopen(self, unit: str) -> bool:
        """*unit*, which seemed to have ended well, goes on. False if it had not."""
        track = self.tracks.get(unit)
        if track is None or track.standing is not Standing.OK:
            return False
        self.work_left_s += track.expected_s
        self._next_rank = 0
        self._stand(track, Standing.UNDER_WAY)
        return True

    def finish(self) -> None:
        """Nothing more comes in this stage: who seems to be between two steps has ended, well if past its act. A count
        that was broken off has not."""
        for track in [one for one in self.under_way.values() if not one.busy or one.phase is Phase.COUNT]:
            if track.busy:
                track.busy = False
                self._withdraw(track)
                continue
            if track.step is not None and track.unit in self._courses and not self._courses.acted(track.step):
                self._withdraw(track)
                continue
            del self.under_way[track.unit]
            self.work_left_s -= track.expected_s
            self._stand(track, Standing.OK)
            if self._openings.outcomes[self._indices[track.unit]] is None:
                self._settle(self._indices[track.unit], True)

    def again(self, unit: str) -> Track | None:
        """*unit*, which has ended, goes back into the queue. Returns its track; None if it has not ended."""
        track = self.tracks.get(unit)
        if track is None or track.standing not in (Standing.OK, Standing.FAILED, Standing.UNKNOWN):
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
            self.bar(track.unit, "excluded", why)

    def bar(self, unit: str, set_aside: str, why: str) -> None:
        """Leave *unit* as it is: it does not begin, and if it was to go again it does not."""
        track = self.tracks.get(unit)
        if track is None:
            return
        if unit in self.suspended:
            self.settle(unit, set_aside)
        elif track.standing is Standing.WAITING and not track.lost:
            index = self._indices[unit]
            self.ready -= self._openings.waits[index] == 0
            self.work_left_s -= track.expected_s
            track.set_aside, track.why = set_aside, why
            self._stand(track, Standing(track.result.outcome.value) if track.result else Standing.UNTOUCHED)
            self._settle(index, False)

    def lose(self) -> list[Track]:
        """The process that carried the steps out is gone: what was under way is due again, but for what must not be
        carried out twice. Units that are suspended because of that are returned."""
        once = []
        for track in [one for one in self.under_way.values() if one.busy]:
            del self.under_way[track.unit]
            track.note, track.busy = "", False
            if track.standing is not Standing.UNDER_WAY:
                continue  # it was given up, and undone
            track.lost = True
            if track.phase in _CHANGES and track.acted is Acted.NO:
                track.acted = Acted.MAYBE
                track.moved = track.moved or track.phase in MOVES
            hook = track.hook_of(track.step) if track.step else None
            if hook is not None and not repeatable(hook):
                track.why = f"{LOST}, and nobody knows whether it was done: it is not done twice by itself"
                self.work_left_s -= track.expected_s
                self._stand(track, Standing.UNKNOWN)
                self.suspended[track.unit] = track
                once.append(track)
            else:
                self._stand(track, Standing.WAITING)
                self.ready += 1
        return once

    def _spares(self, index: int) -> bool:
        """Whether nobody needs a node that ended badly."""
        return self._openings.spares(index, self._is_lost)

    def _is_lost(self, node: int) -> bool:
        track = self._nodes[node]
        return self._openings.outcomes[node] is False or (track is not None and track.unit in self.suspended)

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
        self.finish()
        for unit in self.suspended:
            self._openings.outcomes[self._indices[unit]] = False
        bad = []
        for index, track in enumerate(self._nodes):
            if track is not None and track.standing is Standing.WAITING and (track.lost or track.result):
                track.why = LOST if track.lost else "it was to be done again"
                ended = Standing(track.result.outcome.value) if track.result and not track.lost else Standing.UNKNOWN
                self._stand(track, ended)
                self._openings.outcomes[index] = ended is Standing.OK
                bad += [] if ended is Standing.OK else [track]
        causes = self._openings.causes(self._cause)
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
            for barrier in self._openings.shut_by(self._indices[track.unit]):
                who = self._openings.alike[barrier]
                missing.setdefault(who, {})[barrier] = self._openings.nodes_left[barrier]
                tracks = holding.setdefault(who, [])
                if track not in tracks[-1:]:
                    tracks.append(track)
        found = []
        for who, tracks in islice(holding.items(), most):
            waiting = self._openings.waiting[who]
            first = self._nodes[waiting[0]] or tracks[0]
            lack = sum(missing[who].values())
            found.append(Wait(first=first, units=len(waiting), held_by=tuple(tracks[:held_by]), missing=lack))
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
        if track is None or _over(track) or self.is_beside(step):
            return None
        return None if is_last_reading(step, track.role) else track

    def _under_way_since(self, track: Track, now_s: float) -> None:
        track.since_s = now_s
        self.under_way.pop(track.unit, None)
        self.under_way[track.unit] = track

    def _stand(self, track: Track, standing: Standing) -> None:
        row = self.rows[track.service]
        if track.batch is None:
            row.counts[track.standing] -= 1
            row.counts[standing] += 1
        elif standing is Standing.OK:
            row.batch = track.batch.number
        track.standing = standing

    def _settle(self, node: int, ok: bool) -> None:
        """Open what *node* opens."""
        for waiter in self._openings.settle(node, ok):
            track = self._nodes[waiter]
            self.ready += track is not None and track.standing is Standing.WAITING

    def _cause(self, node: int) -> str:
        """Why nothing that waits for a failed node begins."""
        track = self._nodes[node]
        binds = "waits for" if self.stage.goal is State.STOPPED else "needs"
        return f"{binds} {track.unit}, which {_ENDS[track.standing]}" if track else ""


_ENDS = {Standing.FAILED: "failed", Standing.UNKNOWN: "is unknown", Standing.UNTOUCHED: "was excluded"}


def _over(track: Track) -> bool:
    return track.standing not in (Standing.WAITING, Standing.UNDER_WAY)


def _again(track: Track, step: Step) -> str:
    """What a unit waits for that is tried again after a pause, and why; "" if it is tried at once."""
    if step.delay_s <= 0:
        return ""
    problem = track.result.problem if track.result else None
    why = f": {problem.text}" if problem and problem.text else ""
    return f"tried again after {spoken(step.delay_s)}, attempt {track.tries(step)}{why}"
