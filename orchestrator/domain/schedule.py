"""Who may go next in one stage: barriers, limits and ranks, on node indices alone.

Room: domain. RunState asks it what may begin, and the estimate plays the same stage through with expected durations,
so that what is foretold and what is done follow one policy. Nothing here knows time, facts or hosts' answers.
"""

from bisect import insort
from heapq import heappop, heappush
from math import inf

from orchestrator.domain.parts import parts
from orchestrator.domain.plan import Node, Role, Stage
from orchestrator.domain.results import Outcome, Phase
from orchestrator.domain.service import State

NO_LIMIT = -1


def phases(node: Node, goal: State, *, checks: bool = False) -> tuple[Phase, ...]:
    """The phases of a node's life in a stage, in order; empty for one that only hands the order on."""
    return tuple(part.phase for part in parts(node, goal, checks=checks))


class Schedule:
    """One stage under way: what has begun, what has ended, and which node goes next.

    A node may begin when its barriers are open, the node that it begins after has begun, and its instance holds a slot
    of each of its limits. The instance takes its slots with its first node and gives them back when none of its nodes
    is under way; its nodes share them. Among the instances that may begin, the one with the highest rank goes first,
    ties by plan order. A node without steps begins and ends by itself.

    Each limit that is full keeps the instances that wait for it in a queue of its own, so that they hold up nobody
    else. Invariant: whoever is parked at a limit either finds it full, or stands behind one that was woken from there.

    A node that did not end ok may be suspended: it gives its slots back, and nobody goes on because of it until it is
    settled or goes again. When so many of a barrier's instances are lost that it can't open any more, whoever waits for
    it never begins, and whoever only wanted those to have ended, or to have begun, waits for them no longer.

    Cost: building O(nodes + edges); `begin`, `end` and the others O(neighbours), and O(those who never begin);
    `next_node` O(log nodes) amortised, as long as an instance isn't sent to and fro between a full service and a full
    host.
    """

    def __init__(self, stage: Stage) -> None:
        count = len(stage.nodes)
        self.outcomes: list[Outcome | None] = [None] * count
        self.begun = [False] * count
        """Which nodes are under way, suspended or settled; one that goes again has not begun."""
        self.never = [False] * count
        """Nodes that never begin: what they wait for is lost, or their host is to be done without."""
        self.ok_count = 0
        self.spared: set[int] = set()
        """Nodes that were only looked at and did not end ok, of which others had enough without them at that moment."""
        self.under_way = 0
        self._led = [False] * count  # whether those who begin after the node know that they may
        self._wire(stage)
        self.fresh = sum(map(bool, self.lives))
        """How many nodes have steps and never began, and still may."""
        self._group(stage)
        self._admit(stage)
        self._ready: dict[int, list[tuple[float, int]]] = {}  # by instance; never empty
        self._queued = [False] * len(self._places)
        self._queue: list[tuple[float, int, int, int]] = []  # -rank, first node, instance, the limit that woke it
        self._passing: list[int] = []
        self._barring: list[int] = []
        for node, waits in enumerate(self._waits):
            if waits == 0:
                self._free(node)
        for barrier, left in enumerate(self._barrier_left):
            if left <= 0:
                self._open(barrier)
        self._pass_on()

    def _wire(self, stage: Stage) -> None:
        nodes = stage.nodes
        self._waits = [len(node.waits_for) + (node.begins_after is not None) for node in nodes]
        self.lives = [parts(node, stage.goal, checks=stage.checks) for node in nodes]
        self._followers: dict[int, list[int]] = {}
        self._waiters: list[list[int]] = [[] for _ in stage.barriers]
        for index, node in enumerate(nodes):
            for number in node.waits_for:
                self._waiters[number].append(index)
            if node.begins_after is not None:
                self._followers.setdefault(node.begins_after, []).append(index)
        # A share is what a barrier counts: one instance, or for a soft barrier everybody together.
        self._shares: list[list[int]] = [[] for _ in nodes]
        self._share_left: list[int] = []
        self._share_of: list[int] = []
        self._soft = [barrier.soft for barrier in stage.barriers]
        self._barrier_left: list[int] = []
        self._spare = [len(barrier.instances) - barrier.need for barrier in stage.barriers]
        self._lost_shares: set[int] = set()
        self._looked_at = {index for index, node in enumerate(nodes) if node.role is Role.PROBE}
        for index, barrier in enumerate(stage.barriers):
            groups = (tuple(n for group in barrier.instances for n in group),) if barrier.soft else barrier.instances
            left = 1 if barrier.soft else barrier.need
            for group in groups:
                left -= not group
                for member in group:
                    self._shares[member].append(len(self._share_left))
                self._share_left.append(len(group))
                self._share_of.append(index)
            self._barrier_left.append(left)

    def _group(self, stage: Stage) -> None:
        self._ranks = [-node.rank_s for node in stage.nodes]
        self._instance: list[int] = []
        self._places: list[tuple[float, int]] = []
        numbers: dict[str, int] = {}
        for index, node in enumerate(stage.nodes):
            number = numbers.setdefault(node.unit.instance, len(numbers))
            self._instance.append(number)
            if number == len(self._places):
                self._places.append((-node.rank_s, index))
            elif -node.rank_s < self._places[number][0]:
                self._places[number] = (-node.rank_s, self._places[number][1])
        self._active = [0] * len(numbers)

    def _admit(self, stage: Stage) -> None:
        limits, services = stage.limits, dict(stage.limits.services)
        zones = {} if limits.zone is None else {host: zone for zone, hosts in limits.zones for host in hosts}
        self._room: list[int] = []
        numbers: dict[tuple[str, str], int] = {}

        def number(kind: str, name: str, most: int) -> int:
            found = numbers.setdefault((kind, name), len(numbers))
            if found == len(self._room):
                self._room.append(most)
            return found

        self._limits: list[tuple[int, ...]] = []
        for _, first in self._places:
            unit = stage.nodes[first].unit
            mine: list[int] = []
            if limits.run is not None:
                mine.append(number("run", "", limits.run))
            if unit.service in services:
                mine.append(number("service", unit.service, services[unit.service]))
            if limits.host is not None and unit.host is not None:
                mine.append(number("host", unit.host, limits.host))
            if unit.host in zones:
                mine.append(number("zone", zones[unit.host], limits.zone or 0))
            pauses = stage.nodes[first].batch is not None  # and keeps nobody from working
            self._limits.append(() if pauses else tuple(mine))
        self._parked: list[list[tuple[float, int, int]]] = [[] for _ in self._room]
        self._awake = [False] * len(self._room)

    @property
    def whole(self) -> bool:
        """Whether every node ended ok, or is spared."""
        return self.ok_count + len(self.spared) == len(self.outcomes)

    def next_node(self) -> int | None:
        """The node that may begin now and goes first; None if there is none. Ask again after `begin`."""
        queue = self._queue
        while queue:
            rank, first, instance, woken_at = queue[0]
            ready = self._ready.get(instance)
            if ready is None:
                heappop(queue)
                self._queued[instance] = False
                self._wake(woken_at)
                continue
            full = NO_LIMIT if self._active[instance] else self._full(instance)
            if full == NO_LIMIT:
                return ready[0][1]
            heappop(queue)
            heappush(self._parked[full], (rank, first, instance))
            self._wake(woken_at)
        return None

    def begin(self, node: int) -> None:
        """Take *node* as begun, and the slots of its instance as taken."""
        self.under_way += 1
        instance = self._instance[node]
        self._active[instance] += 1
        if self._active[instance] == 1:
            for limit in self._limits[instance]:
                self._room[limit] -= 1
        self._no_longer_ready(node, instance)
        self._begun(node)
        self._pass_on()

    def _no_longer_ready(self, node: int, instance: int) -> None:
        ready = self._ready.get(instance)
        if ready is not None:
            left = [entry for entry in ready if entry[1] != node]
            if left:
                self._ready[instance] = left
            else:
                del self._ready[instance]

    def end(self, node: int, outcome: Outcome) -> None:
        """Take *node*, which is under way, as ended for good."""
        self.suspend(node)
        self.settle(node, outcome)

    def suspend(self, node: int) -> None:
        """Take *node* as no longer under way: it gives its slots back, and what waits for it waits on."""
        self.under_way -= 1
        instance = self._instance[node]
        self._active[instance] -= 1
        if not self._active[instance]:
            for limit in self._limits[instance]:
                self._room[limit] += 1
                if not self._awake[limit]:
                    self._wake(limit)

    def settle(self, node: int, outcome: Outcome) -> None:
        """Take *node*, which is suspended, as ended for good."""
        self._settle(node, outcome)
        self._pass_on()

    def again(self, node: int, *, last: bool = False) -> None:
        """Let *node*, which is suspended, begin once more when its turn comes; *last*: behind all who can go now."""
        self.begun[node] = False
        if self._waits[node] == 0:
            self._free(node, last=last)

    def reopen(self, node: int) -> None:
        """Let *node*, which ended ok, begin once more. What waits for it and has not begun waits for it again."""
        self.revoke(node)
        self.again(node)

    def revoke(self, node: int) -> None:
        """Take *node*, which ended ok, as suspended. What waits for it and has not begun waits for it again."""
        reopened = [node]
        while reopened:
            one = reopened.pop()
            self.outcomes[one] = None
            self.ok_count -= 1
            self.begun[one] = False
            for share in self._shares[one]:
                barrier = self._share_of[share]
                self._share_left[share] += 1
                if self._share_left[share] == 1:
                    self._barrier_left[barrier] += 1
                    if self._barrier_left[barrier] == 1:
                        reopened += self._close(barrier)
        self.begun[node] = True

    def withdraw(self, node: int) -> None:
        """Take *node*, which is under way and has not acted, as one that never begins."""
        self.suspend(node)
        self.begun[node] = False
        self.bar(node)

    def counted_on(self, node: int) -> bool:
        """Whether a barrier counts *node*."""
        return bool(self._shares[node])

    def _close(self, barrier: int) -> list[int]:
        """Let those wait again who have not begun; the nodes among them that had handed the order on are returned."""
        passed: list[int] = []
        for node in self._waiters[barrier]:
            self._waits[node] += 1
            if not self.lives[node] and self.outcomes[node] is Outcome.OK:
                passed.append(node)
            elif self._waits[node] == 1 and not self.begun[node]:
                self._no_longer_ready(node, self._instance[node])
        return passed

    def bar(self, node: int) -> None:
        """Let *node*, which is not under way and not settled, never begin."""
        self._barring.append(node)
        self._pass_on()

    def _begun(self, node: int) -> None:
        self.begun[node] = True
        self._lead(node)

    def _lead(self, node: int) -> None:
        """Those who begin after *node* wait for it no longer."""
        if not self._led[node]:
            self._led[node] = True
            self.fresh -= bool(self.lives[node])
            for follower in self._followers.get(node, ()):
                self._less(follower)

    def _pass_on(self) -> None:
        """Begin and end the nodes without steps that are free, and pass over those who never begin.

        A loop, for chains of them may be long.
        """
        while self._passing or self._barring:
            if self._barring:
                self._bar(self._barring.pop())
                continue
            node = self._passing.pop()
            if not self.begun[node] and not self.never[node] and self._waits[node] == 0:
                self._begun(node)
                self._settle(node, Outcome.OK)

    def _bar(self, node: int) -> None:
        if self.never[node] or self.outcomes[node] is not None:
            return
        self.never[node] = True
        self._no_longer_ready(node, self._instance[node])
        self._lead(node)
        self._lose(node)

    def _settle(self, node: int, outcome: Outcome) -> None:
        spared = outcome is not Outcome.OK and self.dispensable(node)
        self.outcomes[node] = outcome
        if outcome is not Outcome.OK:
            if spared:
                self.spared.add(node)
            self._lose(node)
            return
        self.ok_count += 1
        for share in self._shares[node]:
            self._whole(share)

    def _whole(self, share: int) -> None:
        """One node less to wait for in *share*."""
        self._share_left[share] -= 1
        if self._share_left[share] == 0:
            barrier = self._share_of[share]
            self._barrier_left[barrier] -= 1
            if self._barrier_left[barrier] == 0:
                self._open(barrier)

    def _lose(self, node: int) -> None:
        """*node* will not be ok any more."""
        for share in self._shares[node]:
            barrier = self._share_of[share]
            if self._soft[barrier]:
                self._whole(share)
            elif share not in self._lost_shares:
                self._lost_shares.add(share)
                self._spare[barrier] -= 1
                if self._spare[barrier] == -1 and self._barrier_left[barrier] > 0:
                    self._barring += [one for one in self._waiters[barrier] if not self.begun[one]]

    def dispensable(self, node: int) -> bool:
        """Whether *node* is only looked at, somebody counts on it, and whoever does can have enough without it."""
        if node not in self._looked_at:
            return False
        left = [
            self._spare[self._share_of[share]] - (share not in self._lost_shares)
            for share in self._shares[node]
            if not self._soft[self._share_of[share]]
        ]
        return bool(left) and min(left) >= 0

    def _open(self, barrier: int) -> None:
        for node in self._waiters[barrier]:
            self._less(node)

    def _less(self, node: int) -> None:
        self._waits[node] -= 1
        if self._waits[node] == 0:
            self._free(node)

    def _free(self, node: int, *, last: bool = False) -> None:
        """Nothing but limits holds *node* up any more."""
        if self.begun[node] or self.never[node]:
            return
        if not self.lives[node]:
            self._passing.append(node)
            return
        instance = self._instance[node]
        insort(self._ready.setdefault(instance, []), (inf if last else self._ranks[node], node))
        if not self._queued[instance]:
            self._queued[instance] = True
            rank, first = self._places[instance]
            heappush(self._queue, (inf if last else rank, first, instance, NO_LIMIT))

    def _full(self, instance: int) -> int:
        for limit in self._limits[instance]:
            if self._room[limit] <= 0:
                return limit
        return NO_LIMIT

    def _wake(self, limit: int) -> None:
        """Let the first who waits at *limit* try, if there is room; when it has tried, it wakes the next."""
        if limit == NO_LIMIT:
            return
        parked = self._parked[limit]
        self._awake[limit] = bool(parked) and self._room[limit] > 0
        if self._awake[limit]:
            heappush(self._queue, (*heappop(parked), limit))
