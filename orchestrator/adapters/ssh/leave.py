"""The leave to try a password on a host: asked for when the host wants one, kept if the connection ends meanwhile."""

import asyncio

from orchestrator.domain.connection import Connection
from orchestrator.engine.ports import Credentials, SignIn


class Leave:
    """One try of the password of *connection*. Whoever made it ends it."""

    def __init__(self, credentials: Credentials, connection: Connection) -> None:
        self._credentials = credentials
        self._connection = connection
        self._task: asyncio.Task[SignIn] | None = None
        self._over = False
        self.given = connection.password is None
        """Whether the secret was handed out; that happens once."""

    @property
    def waiting(self) -> bool:
        """Whether the password was wanted and may not be tried yet: for others are trying it, or a person is asked."""
        return self._task is not None and not self._task.done()

    async def secret(self) -> str | None:
        """The secret, once; None after that, and after the end: a host may ask when we have just given it up.

        Raises HostError as Credentials does. Cancelled, it goes on waiting.
        """
        if self.given or self._over:
            return None
        sign_in = await self.granted()
        self.given = True
        return sign_in.secret

    async def granted(self) -> SignIn:
        """Wait until it may be tried."""
        if self._task is None:
            self._task = asyncio.create_task(self._ask())
        return await asyncio.shield(self._task)

    def end(self, *, accepted: bool | None) -> None:
        """The try is over; the first end counts."""
        self._over = True
        if self._task is None or self._task.cancelled():
            return
        if not self._task.done():
            self._task.cancel()
        elif self._task.exception() is None:
            self._task.result().end(accepted=accepted)

    async def _ask(self) -> SignIn:
        return await self._credentials.sign_in(self._connection)
