"""Who may try one secret now, so that a wrong one locks no account: the queue before it, and what came of each try.

Windows counts wrong passwords by account, whichever host they were tried on: a fleet that signs in side by side would
spend all tries of a domain account in one moment. So an unproven secret is tried by few, and they vouch for the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

TRIES = 2
"""Hosts that may reject a secret before one has accepted it. Windows' baselines lock after ten wrong passwords in some
minutes, careful domains after three."""


class Verdict(StrEnum):
    """What becomes of one who wants to try a secret.

    TRY: now. SPENT: nobody tries it any more. OWN: it was rejected there and may be good elsewhere.
    """

    TRY = "try"
    SPENT = "spent"
    OWN = "own"


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the queue. One that only `looks` wants to know whether it may hope to try."""

    host: str
    looks: bool = False


class Tries:
    """One user with one secret. Whoever gets TRY for a ticket that does not only look must see to one `ended`.

    Once a host accepted it, all may try at once, until one rejects it or nobody is trying any more, for it may be
    changed while nobody looks: then few at a time again. After *most* rejections without an acceptance nobody tries it;
    but hosts that accepted it themselves may still, one after the other, as long as none of those rejects it. A host
    that rejected it never tries it again.

    Cost: `join`, `leave` O(1); `ended` O(those who wait).
    """

    def __init__(self, most: int = TRIES) -> None:
        self._most = most
        self._trusted: set[str] = set()
        self._rejected: list[str] = []  # since the last acceptance
        self._barred: set[str] = set()
        self._under_way = 0
        self._proven = False
        self._queue: dict[Ticket, None] = {}

    @property
    def rejected_by(self) -> tuple[str, ...]:
        """The hosts that rejected it since one accepted it, by name."""
        return tuple(sorted(self._rejected))

    def trusted_by(self, host: str) -> bool:
        """Whether *host* accepted it, and no such host has rejected it since."""
        return host in self._trusted

    def open_among(self, hosts: Iterable[str]) -> bool:
        """Whether nobody has accepted it, and some of *hosts* have not said yet what they think of it."""
        return not self._trusted and any(host not in self._barred for host in hosts)

    def barred(self, host: str) -> bool:
        """Whether *host* rejected it."""
        return host in self._barred

    def join(self, ticket: Ticket) -> Verdict | None:
        """The verdict for *ticket*; None if it must wait for the others: then it stands in the queue, last."""
        verdict = self._verdict(ticket) or self._left_over()
        if verdict is None:
            self._queue[ticket] = None
        return verdict

    def leave(self, ticket: Ticket) -> None:
        """*ticket* waits no more."""
        self._queue.pop(ticket, None)

    def ended(self, host: str, *, accepted: bool | None) -> list[tuple[Ticket, Verdict]]:
        """One try ended: it was accepted, or rejected, or something else went wrong (None).

        Returns those of the queue who now know their verdict, first come first; they stand in it no more.
        """
        self._under_way -= 1
        if accepted is True:
            self._proven = True
            self._rejected.clear()
            self._barred.discard(host)
            self._trusted.add(host)
        elif accepted is False:
            if host in self._trusted:  # it changed since: what others said of it before counts no more
                self._trusted.clear()
            self._proven = False
            self._rejected.append(host)
            self._barred.add(host)
        decided = [(ticket, verdict) for ticket in self._queue if (verdict := self._verdict(ticket)) is not None]
        for ticket, _ in decided:
            del self._queue[ticket]
        self._proven = self._proven and self._under_way > 0
        leftover = self._left_over()
        if leftover is not None:
            decided += [(ticket, leftover) for ticket in self._queue]
            self._queue.clear()
        return decided

    def _verdict(self, ticket: Ticket) -> Verdict | None:
        """What can be said of *ticket* by itself; TRY takes its place."""
        if ticket.host in self._barred:
            return Verdict.OWN if self._trusted else None
        if ticket.looks:
            hope = not self._spent or ticket.host in self._trusted
            return Verdict.TRY if hope else None
        if not self._may_begin(ticket.host):
            return None
        self._under_way += 1
        return Verdict.TRY

    def _may_begin(self, host: str) -> bool:
        if self._proven or self._under_way + len(self._rejected) < self._most:
            return True
        return host in self._trusted and not self._under_way

    def _left_over(self) -> Verdict | None:
        """The verdict for all who can't try it while nobody is trying: nothing will change any more."""
        if self._under_way:
            return None
        return Verdict.SPENT if self._spent else Verdict.OWN

    @property
    def _spent(self) -> bool:
        return len(self._rejected) >= self._most
