"""What the tests of the controller's own probes and programs share: real sockets and pipes, and two secrets."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from orchestrator.domain.errors import SecretError
from orchestrator.domain.secrets import SecretRef, embed

P = ParamSpec("P")
TOKEN = embed(SecretRef("env", "TOKEN"))
LOST = embed(SecretRef("env", "LOST"))
"""One that can't be had."""


def reveal(text: str) -> str:
    """*text* with TOKEN as it is. Raises SecretError for LOST."""
    if LOST in text:
        raise SecretError("the environment has no LOST")
    return text.replace(TOKEN, "hunter2")


def on_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """The test on asyncio's own loop, in real time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run
