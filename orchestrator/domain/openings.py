"""Which barriers of one stage are open and what still holds up whom, for eyes: nodes by index, and how each ended.

Room: domain. `Schedule` says what may really begin.
"""

from collections.abc import Callable, Iterator, Sequence

from orchestrator.domain.plan import Barrier, Role, Stage


class Openings:
    """Folds how the nodes of a stage end. *steps* says of each node whether it has any: one without hands the order on.

    Cost: building O(nodes + edges); `settle` O(neighbours); `causes` O(nodes + edges).
    """

    def __init__(self, stage: Stage, steps: Sequence[bool]) -> None:
        self._stage = stage
        self._steps = steps
        self.outcomes: list[bool | None] = [None] * len(stage.nodes)
        """Whether each node ended well; None while it has not ended for good."""
        self.waits = [len(node.waits_for) for node in stage.nodes]
        """For how many barriers each node waits."""
        self._waiters: list[list[int]] = [[] for _ in stage.barriers]
        for index, node in enumerate(stage.nodes):
            for barrier in node.waits_for:
                self._waiters[barrier].append(index)
        self.waiting = [[node for node in waiters if steps[node]] for waiters in self._waiters]
        """By barrier, the nodes with steps that wait for it."""
        alike: dict[tuple[int, ...], int] = {}
        self.alike = [alike.setdefault(tuple(waiters), barrier) for barrier, waiters in enumerate(self._waiters)]
        """By barrier, the first one for which the same nodes wait."""
        self._shares: list[list[int]] = [[] for _ in stage.nodes]
        self._share_of: list[int] = []
        self._share_left: list[int] = []
        self._barrier_left: list[int] = []
        self.nodes_left = [sum(map(len, barrier.instances)) for barrier in stage.barriers]
        """By barrier, how many of its nodes have not ended well."""
        for number, gathering in enumerate(stage.barriers):
            together = tuple(node for group in gathering.instances for node in group)
            groups = (together,) if gathering.soft else gathering.instances
            for group in groups:
                for member in group:
                    self._shares[member].append(len(self._share_of))
                self._share_of.append(number)
                self._share_left.append(len(group))
            self._barrier_left.append(1 if gathering.soft else gathering.need)
        for index, waits in enumerate(self.waits):
            if waits == 0 and not steps[index] and self.outcomes[index] is None:
                self.settle(index, True)

    def shut_by(self, node: int) -> Iterator[int]:
        """The barriers that count *node*, are not open yet, and for which somebody with steps waits."""
        for barrier in dict.fromkeys(self._share_of[share] for share in self._shares[node]):
            if self._barrier_left[barrier] > 0 and self.waiting[barrier]:
                yield barrier

    def settle(self, node: int, ok: bool) -> list[int]:
        """Open what *node* opens, and hand the order on through nodes without steps. Returns those with steps that
        wait for nothing any more. A loop: chains may be long."""
        freed: list[int] = []
        settled = [(node, ok)]
        while settled:
            index, well = settled.pop()
            self.outcomes[index] = well
            for share in self._shares[index]:
                barrier = self._share_of[share]
                if not well and not self._stage.barriers[barrier].soft:
                    continue
                self.nodes_left[barrier] -= 1
                self._share_left[share] -= 1
                if self._share_left[share] == 0:
                    self._barrier_left[barrier] -= 1
                    if self._barrier_left[barrier] == 0:
                        now_free = [waiter for waiter in self._waiters[barrier] if self._freed(waiter)]
                        freed += [waiter for waiter in now_free if self._steps[waiter]]
                        settled += [(waiter, True) for waiter in now_free if not self._steps[waiter]]
        return freed

    def _freed(self, waiter: int) -> bool:
        """One barrier less before *waiter*; True if there is none left, and it has not ended."""
        self.waits[waiter] -= 1
        return self.waits[waiter] == 0 and self.outcomes[waiter] is None

    def spares(self, node: int, lost: Callable[[int], bool]) -> bool:
        """Whether *node*, which ended badly, was only looked at, and whoever counts it can have enough without it and
        without those that are *lost*.

        As `Schedule.spared` has it. Cost: O(the nodes of its barriers); only asked when something is wrong.
        """
        barriers = (self._stage.barriers[self._share_of[share]] for share in self._shares[node])
        counting = [gathering for gathering in barriers if not gathering.soft]
        probed = self._stage.nodes[node].role is Role.PROBE
        return probed and bool(counting) and all(_enough(gathering, node, lost) for gathering in counting)

    def causes(self, why: Callable[[int], str]) -> list[str]:
        """Per node that did not end, what kept it from beginning, as *why* says it of the failed node; "" if none."""
        causes = [""] * len(self.outcomes)
        spread = [index for index, well in enumerate(self.outcomes) if well is False]
        for index in spread:
            causes[index] = why(index)
        lost_shares: set[int] = set()
        can_open: dict[int, int] = {}
        barriers = self._stage.barriers
        for index in spread:  # grows while it is walked
            for share in self._shares[index]:
                barrier = self._share_of[share]
                if share in lost_shares or barriers[barrier].soft:
                    continue
                lost_shares.add(share)
                can_open[barrier] = can_open.get(barrier, len(barriers[barrier].instances)) - 1
                if can_open[barrier] >= barriers[barrier].need:
                    continue
                for waiter in self._waiters[barrier]:
                    if self.outcomes[waiter] is None and not causes[waiter]:
                        causes[waiter] = causes[index]
                        spread.append(waiter)
        return causes


def _enough(gathering: Barrier, without: int, lost: Callable[[int], bool]) -> bool:
    gone = sum(any(node == without or lost(node) for node in group) for group in gathering.instances)
    return len(gathering.instances) - gone >= gathering.need
