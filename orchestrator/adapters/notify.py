"""Tells people by apprise: mail, chats, webhooks. apprise itself is imported where there is a notice.

A notice's URL holds tokens, and apprise's own words may hold parts of it: nothing that it logs or raises is passed on.
What goes wrong is told by the URL's scheme and, where an HTTP server said no, its status.
"""

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.domain.errors import SecretError, TemplateError
from orchestrator.domain.notices import texts_of
from orchestrator.domain.policy import Notice
from orchestrator.domain.secrets import shown
from orchestrator.domain.templates import Render

SEND_S = 10.0
"""How long one notice may take: servers are given a few seconds for each exchange, this is for all of them."""
_NOWHERE = logging.NullHandler()
_STATUS = re.compile(r"\berror=(\d{3})\b")


def notifies_by(scheme: str) -> bool:
    """Whether apprise may send by URLs of *scheme*, such as `mailto`; in lower case. Cost: apprise is imported.

    Some services are known by their web addresses too (https://hooks.slack.com/...): any of these may be one.
    """
    if scheme in ("http", "https"):
        return True
    from apprise.manager_plugins import NotificationManager  # noqa: PLC0415  slow, and few playbooks tell anybody

    return scheme in NotificationManager()  # type: ignore[no-untyped-call]  # apprise has no types for it


class AppriseNotifier:
    """Sends notices, each in a thread that nobody waits for longer than *send_s*.

    *render* renders `title` and `body`; *reveal* resolves the secret references of the URL and may wait.
    """

    def __init__(self, render: Render, reveal: Callable[[str], str], *, send_s: float = SEND_S) -> None:
        self._render = render
        self._reveal = reveal
        self._send_s = send_s

    async def send(self, notice: Notice, event: Mapping[str, Any]) -> str:
        """Render and send; "" if it was handed over, else why not. Never raises, but for a cancel."""
        scheme, _, rest = notice.url.partition("://")
        named = f"the notice by {scheme.lower()}" if rest and scheme.isascii() else f"the notice to {shown(notice.url)}"
        try:
            title, body = texts_of(notice, event, self._render)
        except TemplateError as error:
            return f"{named} can't be rendered: {error}"
        try:
            async with asyncio.timeout(self._send_s):
                why = await self._sent(notice.url, title, body)
        except TimeoutError:
            why = f"no answer within {self._send_s:g} s"
        return f"{named} was not sent: {why}" if why else ""

    async def _sent(self, url: str, title: str, body: str) -> str:
        """As `_send` says, in a thread of its own: a server that hangs holds it for longer than a process may live."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def tell(why: str) -> None:
            if not answer.done():
                answer.set_result(why)

        def work() -> None:
            try:
                why = self._send(url, title, body)
            except Exception as bug:  # noqa: BLE001 - its text and its traceback may hold the URL
                why = f"apprise failed with {type(bug).__name__}"
            with contextlib.suppress(RuntimeError):  # nobody is left to tell
                loop.call_soon_threadsafe(tell, why)

        threading.Thread(target=work, name="notice", daemon=True).start()
        return await answer

    def _send(self, url: str, title: str, body: str) -> str:
        """Why the notice could not be handed over, in words without anything of the URL."""
        try:
            target = self._reveal(url)
        except SecretError as error:
            return str(error)
        from apprise import Apprise, AppriseAsset, NotifyFormat  # noqa: PLC0415  slow, and few runs tell anybody

        said = _Heard()
        logger = logging.getLogger("apprise")
        logger.propagate = False  # else its warnings land on the terminal
        logger.addHandler(_NOWHERE)  # also what it says when nobody listens
        logger.addHandler(said)
        try:
            # In this thread and at once: apprise's own threads are waited for when the process ends.
            asset = AppriseAsset(async_mode=False, service_timeout=0, storage_mode="memory", app_id="orch")
            service = Apprise(asset=asset)
            if not service.add(target):
                return "its URL is none that apprise understands"
            return "" if service.notify(body=body, title=title, body_format=NotifyFormat.TEXT) else said.why
        finally:
            logger.removeHandler(said)


class _Heard(logging.Handler):
    """What apprise logged in this thread, as far as it can be passed on."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.why = "it could not be delivered"

    def emit(self, record: logging.LogRecord) -> None:
        status = _STATUS.search(record.getMessage())
        if status and record.thread == self._thread:
            self.why = f"the server answered {status[1]}"
