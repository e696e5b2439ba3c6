"""The lane to one host: one session at a time, one thread at a time in it, and every exchange with a deadline.

The event loop connects, a borrowed thread speaks, and nobody waits here for a service. What was begun is not undone by
cancelling: it goes on in the background to its end or its deadline, and the next exchange waits for it.
"""

import asyncio
import contextlib
import functools
import importlib
import ipaddress
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.adapters.winrm.threads import WinrmThreads
from orchestrator.domain.connection import Connection
from orchestrator.domain.errors import AuthRejected, HostError, Unreachable
from orchestrator.engine.ports import Credentials, SignIn

if TYPE_CHECKING:
    from orchestrator.adapters.winrm.session import Session, Shell

T = TypeVar("T")

_SESSIONS = "orchestrator.adapters.winrm.session"
COMMANDS_PER_SHELL = 900
"""Windows counts commands over the life of a shell and refuses after 1,000 on some versions."""
CLOSE_S = 4.0
"""How long closing may take in all: what is left then ends by its idle timeout on the host."""


class Lane:
    """Leads exchanges to the host of *connection*, in order.

    A session is opened by the first exchange and dropped after any error; the next one opens another and deletes the
    shell that the lost one left on the host. What secret is sent, and whether one is, *credentials* say: after a
    rejection there may be another one, and the exchange goes on with it.
    """

    def __init__(self, connection: Connection, threads: WinrmThreads, credentials: Credentials) -> None:
        self._connection = connection
        self._threads = threads
        self._credentials = credentials
        self._turn = asyncio.Lock()
        self._session: Session | None = None
        self._left: list[Shell] = []
        self._rejected: AuthRejected | None = None
        self._at_sign_in = False
        self._refused: set[str | None] = set()
        self._secret: str | None = None
        self._sign_in: SignIn | None = None
        self._under_way: set[asyncio.Task[object]] = set()
        self._running: asyncio.Future[Any] | None = None
        self._hung: set[asyncio.Future[Any]] = set()

    @property
    def session(self) -> "Session | None":
        """The session of now; what was begun on another one is lost."""
        return self._session

    async def exchange(self, work: "Callable[[Session], T]", *, limit_s: float | None = None) -> T:
        """Run *work* on an open session in a borrowed thread, after those that asked before.

        Raises: HostError and its kin. Past *limit_s* (the connection's read timeout unless given) the session is
        dropped and its thread freed. Cancelled while it waits, *work* never runs; later, it goes on unseen.
        """
        limit = self._connection.read_timeout_s if limit_s is None else limit_s
        while True:
            before = self._rejected
            try:
                return await self._exchange(work, limit)
            except AuthRejected:
                if self._rejected is before or not self._at_sign_in:
                    raise  # there is no other secret, or *work* may have been done

    async def _exchange(self, work: "Callable[[Session], T]", limit_s: float) -> T:
        await self._turn.acquire()
        try:
            session = await self._ready()
            running = await self._begin(session, lambda: self._speak(session, work))
        except BaseException:
            self._end_sign_in()
            if self._session is not None and not self._session.opened:
                self._drop(self._session)
            self._turn.release()
            raise
        self._running = running
        task = asyncio.create_task(self._settle(session, running, limit_s))
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Delete what stands on the host, and free all connections. Never raises; takes CLOSE_S at most, and what a
        cut thread needs to end."""
        with contextlib.suppress(HostError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._turn.acquire()
                try:
                    await self._sweep()
                finally:
                    self._turn.release()
        if self._session is not None:
            self._session.cut()
            self._drop(self._session)
        self._left.clear()
        if self._hung:
            await asyncio.wait(self._hung, timeout=CLOSE_S / 4)

    async def _sweep(self) -> None:
        """Delete the shell of the session and those that lost sessions left, over one connection."""
        if self._session is None and (not self._left or self._rejected is not None):
            return
        session = await self._ready()
        left, self._left = self._left, []

        def work() -> None:
            with self._threads.gate:
                if session.opened:
                    session.close()
                session.delete(left)

        self._running = await self._begin(session, work)
        await asyncio.shield(self._running)
        self._drop(session)

    async def _ready(self) -> "Session":
        """The session, or a new one on a fresh connection; it is not signed in yet."""
        session = self._session
        if session is not None and (session.line.dropped or session.commands >= COMMANDS_PER_SHELL):
            self._drop(session)
        if self._session is None:
            make = await self._loaded()
            try:
                sock, sign_in = await self._let_in()
            except AuthRejected as exc:
                raise self._rejected or exc from None  # what the host itself said tells more
            self._sign_in, self._secret = sign_in, sign_in.secret
            try:
                self._session = make(self._connection, sign_in.secret, sock, self._threads.gate)
            except BaseException:
                _close(sock)
                raise
        return self._session

    async def _let_in(self) -> tuple[socket.socket | None, SignIn]:
        """A fresh connection, and the leave to sign in on it. A connection that ends during the wait is replaced."""
        while True:
            await self._credentials.check(self._connection)
            if self._rejected is not None and None in self._refused:
                raise self._rejected  # a ticket: nobody has another
            sock = await self._connect()
            try:
                sign_in = await self._credentials.sign_in(self._connection)
            except BaseException:
                _close(sock)
                raise
            if not _dropped(sock) and sign_in.secret not in self._refused:
                return sock, sign_in
            sign_in.end(accepted=None)
            _close(sock)
            if self._rejected is not None and sign_in.secret in self._refused:
                raise self._rejected  # it was let in with that, and then refused

    def _end_sign_in(self) -> None:
        """Give a turn back that was not used."""
        sign_in, self._sign_in = self._sign_in, None
        if sign_in is not None:
            sign_in.end(accepted=None)

    async def _loaded(self) -> "type[Session]":
        """The session's class. Its libraries take a third of a second to load: once, when needed."""
        loading = await self._threads.begin(lambda: importlib.import_module(_SESSIONS))
        made: type[Session] = (await loading).Session
        return made

    async def _connect(self) -> socket.socket | None:
        """A TCP connection, made without a thread; None where a proxy leads to the host."""
        connection = self._connection
        if connection.proxy:
            return None
        try:
            async with asyncio.timeout(connection.connection_timeout_s):
                return await self._first_that_answers()
        except TimeoutError as exc:
            text = f"no connection to {connection.address}:{connection.port} in {connection.connection_timeout_s:g} s"
            raise Unreachable(connection.host, text) from exc
        except socket.gaierror as exc:
            hint = "correct ansible_host, or the name service of this machine"
            raise Unreachable(connection.host, f"the name {connection.address} leads to no address", hint=hint) from exc
        except OSError as exc:
            said = (os.strerror(exc.errno) if exc.errno else str(exc)).lower()
            text = f"{connection.address}:{connection.port}: {said}"
            raise Unreachable(connection.host, text, hint="is WinRM enabled there, and the port open?") from exc

    async def _first_that_answers(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        failure = OSError(0, "the name leads to no address")
        for family, address in await self._addresses():
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(sock, address)
            except OSError as exc:
                sock.close()
                failure = exc
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure

    async def _addresses(self) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
        host, port = self._connection.address, self._connection.port
        found = self._connection.resolved or ((host,) if _is_address(host) else ())
        if found:
            return [(socket.AF_INET6 if ":" in address else socket.AF_INET, (address, port)) for address in found]
        look_up = await self._threads.begin(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        return [(family, (str(address[0]), port)) for family, _, _, _, address in await look_up]

    async def _begin(self, session: "Session", work: Callable[[], T]) -> "asyncio.Future[T]":
        """Begin *work* in a thread. If it signs in, see to it that what comes of that is told, and soon."""
        sign_in, self._sign_in = self._sign_in, None
        if sign_in is None:
            return await self._threads.begin(work)
        loop = asyncio.get_running_loop()
        accepted, untold = functools.partial(sign_in.end, accepted=True), functools.partial(sign_in.end, accepted=None)
        session.when_let_in(lambda: loop.call_soon_threadsafe(accepted))
        try:
            running = await self._threads.begin(work)
        except BaseException:
            untold()
            raise
        deadline = loop.call_later(self._connection.read_timeout_s, untold)

        def ended(running: "asyncio.Future[T]") -> None:
            deadline.cancel()
            rejected = not running.cancelled() and isinstance(running.exception(), AuthRejected)
            sign_in.end(accepted=False if rejected else None)

        running.add_done_callback(ended)
        return running

    def _speak(self, session: "Session", work: "Callable[[Session], T]") -> T:
        """In a thread: sign in if that is to be done yet, then the work."""
        with self._threads.gate:
            if not session.opened:
                session.open()
                left, self._left = self._left, []
                session.delete(left)
            return work(session)

    async def _settle(self, session: "Session", running: "asyncio.Future[T]", limit_s: float) -> T:
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(running)
        except TimeoutError as exc:
            sent = session.opened and session.line.written  # what a sign-in writes asks for nothing
            session.cut()
            self._drop(session)
            raise Unreachable(self._connection.host, f"no answer within {limit_s:g} s", sent=sent) from exc
        except AuthRejected as exc:
            self._rejected, self._at_sign_in = exc, not session.opened
            self._refused.add(self._secret)
            self._drop(session, leaves=session.opened)
            raise
        except HostError:
            self._drop(session)
            raise
        finally:
            self._turn.release()

    def _drop(self, session: "Session", *, leaves: bool = True) -> None:
        """Use *session* no more, and free its connection once its thread has let go of it. The shell that it *leaves*
        on the host is deleted when there is another session."""
        if leaves and session.shell is not None:
            self._left.append(session.shell)
        if self._session is session:
            self._session = None
        running, self._running = self._running, None
        if running is None or running.done():
            session.dispose()
            return

        def free(ended: "asyncio.Future[Any]") -> None:
            self._hung.discard(ended)
            if not ended.cancelled():
                ended.exception()  # it was told already, or nobody is left to be told
            session.dispose()

        self._hung.add(running)
        running.add_done_callback(free)

    def _forget(self, task: "asyncio.Task[T]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _dropped(sock: socket.socket | None) -> bool:
    """Whether the host closed a connection on which nothing was said yet."""
    if sock is None:
        return False
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _close(sock: socket.socket | None) -> None:
    if sock is not None:
        sock.close()
