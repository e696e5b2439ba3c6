"""Which secrets may be tried where: one gate for all hosts and wires, so that a wrong password locks no account.

A secret is resolved when it is first needed, once for all its hosts. When it turns out to be wrong it is resolved anew,
for it may have been changed meanwhile; when that does not help, one question is asked for everybody who waits.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Protocol

from orchestrator.domain.connection import Auth, Connection, Transport
from orchestrator.domain.errors import AuthRejected, HostError, OrchError
from orchestrator.domain.secrets import Secret, SecretRef, split
from orchestrator.domain.tries import TRIES, Ticket, Tries, Verdict
from orchestrator.engine.ports import AskPassword, PasswordQuestion

SETTING_OUT_S = 3.0
"""Within so long of the first all hosts have set out to sign in, whatever their wires have to load first."""
_TICKETS = (Auth.NEGOTIATE, Auth.KERBEROS)


class Fetch(Protocol):
    """How a text with references becomes a secret; *anew*: past anything that is remembered. May take its time.

    Raises: OrchError (SecretError), which never holds a secret.
    """

    def __call__(self, text: str, *, anew: bool) -> Awaitable[str]:
        """See above."""


def fetching(reveal: Callable[[str], str], forget: Callable[[SecretRef], object]) -> Fetch:
    """Fetches with *reveal*, in a thread; *forget* makes it look anew."""

    async def fetch(text: str, *, anew: bool) -> str:
        if anew:
            for piece in split(text):
                if isinstance(piece, SecretRef):
                    forget(piece)
        return await asyncio.to_thread(reveal, text)

    return fetch


class OneTry:
    """Implements SignIn."""

    def __init__(self, secret: str | None, end: Callable[[bool | None], object] = lambda _: None) -> None:
        self.secret = secret
        self._end: Callable[[bool | None], object] | None = end

    def end(self, *, accepted: bool | None) -> None:
        """See SignIn."""
        end, self._end = self._end, None
        if end is not None:
            end(accepted)


class SharedCredentials:
    """Implements Credentials. One object for all hosts of a process; used from one event loop.

    *connections* are those that are expected: a secret that only one of them uses is wrong after one rejection. *ask*
    puts a question to a person, one at a time; None: there is nobody to ask. `aclose` withdraws a question.
    """

    def __init__(self, fetch: Fetch, connections: Iterable[Connection] = (), ask: AskPassword | None = None) -> None:
        self._fetch = fetch
        self._ask = ask
        self._asking = asyncio.Lock()
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._tries: dict[tuple[str, str], Tries] = {}
        self._waiters: dict[Ticket, asyncio.Future[Verdict]] = {}
        self._changed: dict[Tries, asyncio.Event] = {}
        self._connections = tuple(connections)
        self._expected: dict[tuple[str, str], set[str]] = {}
        for one in self._connections:
            if one.password is not None:
                self._expected.setdefault(_key(one, one.password), set()).add(one.host)

    async def prepare(self) -> None:
        """Resolve all secrets, side by side, before any host is asked. Raises SecretError: the first."""
        uses = [(one, one.password) for one in self._connections if one.password is not None]
        accounts = dict.fromkeys(self._account(connection, secret) for connection, secret in uses)
        await asyncio.gather(*(account.resolved() for account in accounts))

    async def check(self, connection: Connection) -> None:
        """See Credentials."""
        secret = _used(connection)
        if secret is not None:
            await self._allowed(connection, secret, looks=True)

    async def sign_in(self, connection: Connection) -> OneTry:
        """See Credentials."""
        secret = _used(connection)
        if secret is None:
            return OneTry(None)
        value, tries = await self._allowed(connection, secret, looks=False)
        return OneTry(value, lambda accepted: self._ended(tries, connection.host, accepted))

    async def aclose(self) -> None:
        """Withdraw what is still asked. Never raises."""
        tasks = [task for account in self._accounts.values() for task in account.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _allowed(self, connection: Connection, secret: Secret, *, looks: bool) -> tuple[str, Tries]:
        """Wait until a secret may be tried; which one, and the queue that it was taken from."""
        host, account = connection.host, self._account(connection, secret)
        now_s = asyncio.get_running_loop().time()
        account.wanted_by(host, now_s)
        ends_s = now_s + connection.connection_timeout_s
        while True:
            try:
                newest = await account.resolved()
            except OrchError as exc:
                raise HostError(host, f"no password: {exc}", hint=exc.hint) from exc
            check_complete(connection, newest)
            value = next((old for old in account.values if self._of(account, old).trusted_by(host)), newest)
            tries = self._of(account, value)
            verdict = await self._verdict(tries, Ticket(host, looks=looks))
            if verdict is Verdict.TRY:
                return value, tries
            if verdict is Verdict.OWN and await self._may_learn_more(account, tries, ends_s):
                continue
            if verdict is Verdict.OWN or not await account.moved_on(value, tries):
                raise _refused(connection, tries)

    def _account(self, connection: Connection, secret: Secret) -> "_Account":
        key = _key(connection, secret)
        if key not in self._accounts:
            expected = self._expected.get(key, set())
            self._accounts[key] = _Account(connection.user, secret, expected, self._fetch, self._put)
        return self._accounts[key]

    def _of(self, account: "_Account", value: str) -> Tries:
        """The tries of one user with one secret, whatever references lead to it."""
        key = account.user.casefold(), value
        if key not in self._tries:
            self._tries[key] = Tries(min(TRIES, len(account.expected) or TRIES))
        return self._tries[key]

    async def _verdict(self, tries: Tries, ticket: Ticket) -> Verdict:
        verdict = tries.join(ticket)
        if verdict is not None:
            return verdict
        waiter: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiters[ticket] = waiter
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                tries.leave(ticket)
            elif waiter.result() is Verdict.TRY and not ticket.looks:
                self._ended(tries, ticket.host, None)
            raise
        finally:
            del self._waiters[ticket]

    async def _may_learn_more(self, account: "_Account", tries: Tries, ends_s: float) -> bool:
        """Wait while others are on their way, who will find out whether a secret is wrong for all; until one of them
        has, or *ends_s*. False: nobody is on the way."""
        now_s = asyncio.get_running_loop().time()
        if not tries.open_among(account.hosts):
            ends_s = min(ends_s, account.began_s + SETTING_OUT_S) if tries.open_among(account.expected) else 0.0
        if now_s >= ends_s:
            return False
        changed = self._changed.setdefault(tries, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(ends_s):
                await changed.wait()
        return True

    def _ended(self, tries: Tries, host: str, accepted: bool | None) -> None:
        changed = self._changed.pop(tries, None)
        if changed is not None:
            changed.set()
        for ticket, verdict in tries.ended(host, accepted=accepted):
            waiter = self._waiters[ticket]
            if not waiter.done():
                waiter.set_result(verdict)
            elif verdict is Verdict.TRY and not ticket.looks:  # cancelled in this very moment
                self._ended(tries, ticket.host, None)

    async def _put(self, question: Callable[[], PasswordQuestion]) -> str | None:
        """The answer of a person; None if there is nobody, or none is given."""
        if self._ask is None:
            return None
        async with self._asking:
            return await self._ask(question())


class _Account:
    """One user with one secret text: the hosts that are expected to want it and those that did, and the secrets that it
    stood for so far, oldest first.

    What is fetched or asked for it is done once for all who wait, and goes on when those who wait are cancelled.
    """

    def __init__(
        self,
        user: str,
        secret: Secret,
        expected: AbstractSet[str],
        fetch: Fetch,
        put: Callable[[Callable[[], PasswordQuestion]], Awaitable[str | None]],
    ) -> None:
        self.user = user
        self.secret = secret
        self.values: list[str] = []
        self.hosts: set[str] = set()
        self.expected = expected
        self.began_s = 0.0
        self.tasks: set[asyncio.Task[None]] = set()
        self._fetch = fetch
        self._put = put
        self._first: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._renewed = self._closed = False

    def wanted_by(self, host: str, now_s: float) -> None:
        """*host* has set out to sign in."""
        if not self.hosts:
            self.began_s = now_s
        self.hosts.add(host)

    async def resolved(self) -> str:
        """The newest secret. Raises OrchError if it leads nowhere; that too is found out once."""
        if not self.values:
            if self._first is None:
                self._first = self._begin(self._resolve())
            await asyncio.shield(self._first)
        return self.values[-1]

    async def moved_on(self, spent: str, tries: Tries) -> bool:
        """Wait until there is another secret instead of the *spent* one; False: there is none and will be none."""
        if self.values[-1] != spent:
            return True
        if self._closed:
            return False
        if self._next is None:
            self._next = self._begin(self._move_on(tries))
        await asyncio.shield(self._next)
        return self.values[-1] != spent

    async def _resolve(self) -> None:
        self.values.append(await self._fetch(self.secret.text, anew=False))

    async def _move_on(self, tries: Tries) -> None:
        """Resolve anew, once; if that gives nothing new, ask, once."""
        try:
            if not self._renewed:
                self._renewed = True
                with contextlib.suppress(OrchError):  # it leads nowhere any more: as good as the same
                    if self._add(await self._fetch(self.secret.text, anew=True)):
                        return
            answer = await self._put(
                lambda: PasswordQuestion(
                    user=self.user,
                    source=self.secret.named,
                    rejected_by=tries.rejected_by,
                    waiting=sum(not tries.trusted_by(host) for host in self.hosts),
                )
            )
            self._closed = True
            if answer:
                self._add(answer)
        finally:
            self._next = None

    def _add(self, value: str) -> bool:
        if value in self.values:
            return False
        self.values.append(value)
        return True

    def _begin(self, work: "Awaitable[None]") -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # those who wait are told; nobody may be left


def check_complete(connection: Connection, password: str | None) -> None:
    """Raises AuthRejected if *connection* can't sign in with what it has, so that nothing is sent.

    Over WinRM a ticket may do without a password, over SSH a key.
    """
    ssh = connection.transport is Transport.SSH
    if password is None and (ssh or connection.auth in _TICKETS):
        return
    if not password:
        lacks = "no password is set"
        hint = "set ansible_password, or type it with --ask-pass"
        if connection.password is not None:
            lacks = "the password is empty"
            hint = "type the password"
            if not connection.password.asked:
                named = connection.password.named
                hint = f"it comes from {named}: fill that, or take ansible_password out and type it with --ask-pass"
        raise AuthRejected(connection.host, f"{lacks}; nothing was sent", hint=hint)
    if not connection.user and not ssh:
        raise AuthRejected(connection.host, "no user is set; nothing was sent", hint="set ansible_user")


def _refused(connection: Connection, tries: Tries) -> AuthRejected:
    if tries.barred(connection.host):
        text = f"it rejected {connection.user} before; the same secret is not tried there again"
    else:
        told = f"{connection.user} was rejected by {' and '.join(tries.rejected_by)}"
        text = f"{told}; it was not tried here, so that the account is not locked"
    return AuthRejected(connection.host, text, hint=_correction(connection.password))


def _correction(secret: Secret | None) -> str:
    """What to type next where *secret* was wrong: `--ask-pass` changes nothing for hosts that have a password."""
    if secret is None or secret.asked:
        return "correct ansible_user, or type the right password; then run it again"
    return f"correct ansible_user or ansible_password ({secret.named}); then run it again"


def _used(connection: Connection) -> Secret | None:
    """The secret that *connection* signs in with; None where none is tried. Raises as `check_complete`."""
    if connection.transport is Transport.PSRP and connection.auth is Auth.CERTIFICATE:
        return None
    if connection.password is None:
        check_complete(connection, None)
    return connection.password


def _key(connection: Connection, secret: Secret | None) -> tuple[str, str]:
    """Windows compares users without case."""
    return connection.user.casefold(), secret.text if secret else ""
