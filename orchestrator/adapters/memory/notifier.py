"""Notices that go nowhere."""

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import TemplateError
from orchestrator.domain.notices import texts_of
from orchestrator.domain.policy import Notice
from orchestrator.domain.templates import Render


class MemoryNotifier:
    """Keeps what was sent as (url, title, body), in order. `broken` says of a URL why nothing can be sent there."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self.sent: list[tuple[str, str, str]] = []
        self.broken: dict[str, str] = {}

    async def send(self, notice: Notice, event: Mapping[str, Any]) -> str:
        """As `Notifier.send`."""
        try:
            title, body = texts_of(notice, event, self._render)
        except TemplateError as error:
            return f"the notice can't be rendered: {error}"
        if notice.url in self.broken:
            return self.broken[notice.url]
        self.sent.append((notice.url, title, body))
        return ""
