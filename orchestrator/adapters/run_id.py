"""Run ids: short, sortable by time, and typeable: `20261121-0213-k7q2`."""

import secrets
from datetime import UTC, datetime

LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Nothing that is read as something else: no 0 and o, no 1, i and l."""


def new_run_id(now: datetime | None = None) -> str:
    """An id for a run that begins at *now* (UTC; None: this moment): the minute, and four random letters."""
    minute = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%d-%H%M")
    return f"{minute}-{''.join(secrets.choice(LETTERS) for _ in range(4))}"
