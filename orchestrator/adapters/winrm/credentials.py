"""Which credentials are known to be good, so that a wrong password doesn't lock its account.

Windows counts wrong passwords by account, whichever host they were tried on: a fleet that signs in side by side would
spend all tries of a domain account in one moment.
"""

import asyncio

from orchestrator.domain.connection import Auth, Connection
from orchestrator.domain.errors import AuthRejected

TRIES = 2
"""Hosts that a credential may be tried on before one has accepted it. Windows' baselines lock after ten wrong ones in
some minutes, careful domains after three."""

_TICKETS = (Auth.NEGOTIATE, Auth.KERBEROS)


def check_complete(connection: Connection, password: str | None) -> None:
    """Raises AuthRejected if *connection* can't sign in with what it has. Without a password a ticket may do."""
    if connection.auth is Auth.CERTIFICATE or (password is None and connection.auth in _TICKETS):
        return
    if not password:
        lacks = "no password is set"
        hint = "set ansible_password, or type it with --ask-pass"
        if connection.password is not None:
            lacks = "the password is empty"
            hint = f"it comes from {connection.password.named}: fill that, or type the password with --ask-pass"
        raise AuthRejected(connection.host, f"{lacks}; nothing was sent", hint=hint)
    if not connection.user:
        lacks = "no user is set"
        raise AuthRejected(connection.host, f"{lacks}; nothing was sent", hint="set ansible_user")


class Credential:
    """A user with a password: who rejected it, how many hosts try it now, and whether one has accepted it."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._accepted = False
        self._rejected_by: list[str] = []
        self._under_way = 0
        self._changed = asyncio.Event()

    def check(self, host: str) -> None:
        """Raises AuthRejected if so many hosts rejected it that *host* must not be asked."""
        if self._accepted or len(self._rejected_by) < TRIES:
            return
        told = f"{self._user} was rejected by {' and '.join(sorted(self._rejected_by))}"
        raise AuthRejected(
            host,
            f"{told}; it was not tried here, so that the account is not locked",
            hint="correct ansible_user or ansible_password, or type the password with --ask-pass; then run it again",
        )

    async def begin(self, host: str) -> "SignIn":
        """Wait until it may be tried on *host*. Raises AuthRejected as `check` does. May be cancelled."""
        while not self._accepted and self._under_way + len(self._rejected_by) >= TRIES:
            self.check(host)
            await self._changed.wait()
        self._under_way += 1
        return SignIn(self, host)

    def end(self, host: str, *, accepted: bool | None) -> None:
        """One try ended: it was accepted, or rejected, or something else went wrong (None)."""
        self._under_way -= 1
        self._accepted = self._accepted or accepted is True
        if accepted is False:
            self._rejected_by.append(host)
        self._changed.set()
        self._changed = asyncio.Event()


class SignIn:
    """One host's try of one credential. The first of its ends counts; whoever begins it must see to one."""

    def __init__(self, credential: Credential, host: str) -> None:
        self._credential = credential
        self._host = host
        self._ended = False

    def end(self, *, accepted: bool | None) -> None:
        """See Credential.end."""
        if not self._ended:
            self._ended = True
            self._credential.end(self._host, accepted=accepted)


class Credentials:
    """The credentials of a fleet. One object for all its hosts; used from one event loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Credential] = {}

    def of(self, connection: Connection, password: str | None) -> Credential | None:
        """What *connection* signs in with, *password* being its secret; None where no password is tried."""
        if password is None or connection.auth is Auth.CERTIFICATE:
            return None
        key = connection.user.casefold(), password
        if key not in self._known:
            self._known[key] = Credential(connection.user)
        return self._known[key]
