"""The chain over a run's facts: every fact's head is a hash over the head before it and the stored bytes.

Room: domain. What the chain guards against, and what not, is told in docs/reasons.md.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.domain.errors import BadInput, OrchError
from orchestrator.domain.fact_codec import decode

SHORTEST = 12
"""How many digits of a head are enough to name it."""


class Row(NamedTuple):
    """One fact as it is stored, before anything of it is believed. `at` is UTC, seconds since 1970."""

    number: int
    at: float
    elapsed_s: float
    body: bytes
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a look at one run's chain found. `wrong` says in words what does not fit first; "": all fits.

    `head` is that of the last fact that fits, `facts` its number. `known_at` is the fact whose head was asked for; 0 if
    none was.
    """

    run: str
    facts: int
    head: str
    wrong: str = ""
    known_at: int = 0


def link(previous: str, run: str, number: int, at: float, elapsed_s: float, body: bytes) -> str:
    """The head of a fact, 64 hex digits: SHA-256 over the head before it (none: nothing), a line end, the JSON list
    `[run, number, at, elapsed_s]`, a line end, and the stored bytes of the fact."""
    stamp = json.dumps([run, number, at, elapsed_s])
    return hashlib.sha256(b"\n".join((previous.encode(), stamp.encode(), body))).hexdigest()


def verify(run: str, rows: Iterable[Row], *, began: bool, ended: bool, head: str, must: bool) -> Verified:
    """Walk the chain of *run*. *began* and *ended*: the list of runs says so. *head* (lower case, or the beginning of
    one) is looked for; if it *must* be there, it is wrong that it is not. Never raises for what is stored.

    Cost: one hash and one decoding a fact.
    """
    good, number, known_at, last = "", 0, 0, b""
    for row in rows:
        wrong = _wrong(run, good, number + 1, row)
        if wrong:
            return Verified(run=run, facts=number, head=good, wrong=wrong, known_at=known_at)
        good, number, last = row.head, row.number, row.body
        if head and good.startswith(head):
            known_at = number
    wrong = ""
    if not number and began:
        wrong = "the run is listed, but none of its facts is there any more"
    elif ended and not last.startswith(b'{"kind":"run_ended"'):
        wrong = f"the run is listed as ended, but fact {number}, the last one, is not its end: later ones were removed"
    elif head and must and not known_at:
        wrong = f"none of its {number} facts has the head {head}: facts were replaced or removed since it was noted"
    return Verified(run=run, facts=number, head=good, wrong=wrong, known_at=known_at)


def _wrong(run: str, previous: str, number: int, row: Row) -> str:
    """Why *row* is not fact *number* after *previous*, in words; "" if it is."""
    if row.number != number:
        return f"fact {number} is missing: " + (f"after {number - 1} comes {row.number}" if number > 1 else "the first")
    try:
        fits = link(previous, run, number, row.at, row.elapsed_s, row.body) == row.head
        text = row.body.decode()
    except (TypeError, ValueError):
        fits, text = False, ""
    if not fits:
        return f"fact {number} is not what was written: its bytes, or those of its time, were changed"
    try:
        decode(text)
    except OrchError as exc:
        return f"fact {number} is what was written, but can't be read: {exc}"
    return ""


def typed_head(head: str) -> str:
    """*head* as it is compared. Raises BadInput if it is too short to name one, or no head at all."""
    digits = head.strip().lower()
    if digits and (len(digits) < SHORTEST or set(digits) - set("0123456789abcdef")):
        raise BadInput(
            f"{head!r} is no head: a head has 64 digits (0-9, a-f), of which the first {SHORTEST} are enough",
            hint="the report at the end of a run and `orch audit verify` print heads",
        )
    return digits


def with_head(found: Sequence[Verified], head: str) -> Sequence[Verified]:
    """Of all runs those that have the *head*; where none has it, those in which something is wrong.

    Raises:
        BadInput: there are none.
    """
    of_it = [one for one in found if one.known_at] or [one for one in found if one.wrong]
    if not of_it:
        raise BadInput(
            f"no run here has the head {head}: it is of another state folder, or facts were replaced or removed since",
            hint="name the run as well: `orch audit verify RUN --head HASH`",
        )
    return of_it


def no_such_run(run: str) -> BadInput:
    """There is nothing of *run* to verify."""
    return BadInput(f"there is no run {run}", hint="`orch runs` lists them all")
