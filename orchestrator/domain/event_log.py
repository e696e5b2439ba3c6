"""Records of Windows' event logs, as `wevtutil.exe qe ... /f:RenderedXml` prints them, and which of them tell of a
service.

Records are cut out of the text one by one, by marks alone: no parser, so no entity is ever expanded but the five and
numbers, and a record that is cut off or broken is left out without the others.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

SCM = "Service Control Manager"
TEXT_MOST = 300
"""Characters of a record's text that are kept."""
_RECORD = re.compile(r"<Event[ >](?:(?!<Event[ >]).)*?</Event>", re.DOTALL)
_PROVIDER = re.compile(r"""<Provider [^>]*?\bName=(?:'([^']*)'|"([^"]*)")""")
_ID = re.compile(r"<EventID[^>]*>(\d{1,9})</EventID>")
_LEVEL = re.compile(r"<Level>(\d{1,3})</Level>")
_AT = re.compile(r"""<TimeCreated [^>]*?\bSystemTime=['"]([0-9T:.+Z -]{1,40})['"]""")
_USER = re.compile(r"""<Security [^>]*?\bUserID=['"](S-[0-9-]{1,180})['"]""")
_DATA = re.compile(r"<Data(?: [^>]*)?>([^<]*)</Data>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_ENTITY = re.compile(r"&(lt|gt|amp|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One record. `at` is UTC as the host wrote it; `data` the values that its text is made of; `text` the rendered
    text in the host's language, else the values; `user` the SID of whoever did it, where the log has it."""

    log: str
    provider: str
    id: int
    level: int | None = None
    at: str = ""
    data: tuple[str, ...] = ()
    text: str = ""
    user: str = ""

    @property
    def words(self) -> str:
        """The record in one line: `System, Service Control Manager 7031 at 2026-01-01T02:00:10Z: The Orders ...`."""
        text = " ".join(self.text.split())
        shown = text if len(text) <= TEXT_MOST else f"{text[:TEXT_MOST]}..."
        by = f" by {self.user}" if self.user else ""
        return f"{self.log}, {self.provider} {self.id} at {self.at or 'an unknown time'}{by}: {shown or 'no text'}"


def records(log: str, output: str) -> list[EventRecord]:
    """The whole records of *output*, in its order. Anything else in it is passed over. Cost: O(output)."""
    return [found for text in _RECORD.findall(output) if (found := _record(log, text)) is not None]


def _record(log: str, text: str) -> EventRecord | None:
    provider, number = _PROVIDER.search(text), _ID.search(text)
    if provider is None or number is None:
        return None
    level, at, message = _LEVEL.search(text), _AT.search(text), _MESSAGE.search(text)
    user = _USER.search(text)
    data = tuple(_plain(value) for value in _DATA.findall(text))
    return EventRecord(
        log=log,
        provider=_plain(provider[1] if provider[1] is not None else provider[2]),
        id=int(number[1]),
        level=int(level[1]) if level else None,
        at=_second(at[1]) if at else "",
        data=data,
        text=_plain(message[1]) if message else "; ".join(value for value in data if value),
        user=user[1] if user else "",
    )


def _second(at: str) -> str:
    """A time without its fraction."""
    return re.sub(r"\.\d+", "", at)


def _plain(text: str) -> str:
    """*text* with its entities resolved, and nothing in it that a terminal would act on."""
    resolved = _ENTITY.sub(lambda found: _character(found[1]), text)
    return "".join(mark if mark.isprintable() or mark in "\t\n" else " " for mark in resolved)


def _character(entity: str) -> str:
    if entity in _NAMED:
        return _NAMED[entity]
    number = int(entity[2:], 16) if entity[1] == "x" else int(entity[1:])
    return chr(number) if 0 < number < 0x110000 else " "


def related(found: Iterable[EventRecord], names: Iterable[str]) -> list[EventRecord]:
    """Those that name one of *names* (a service's name, its display name): as their provider, one of their values, or a
    word of their text; without case. Names of less than three letters must be a value or the provider as a whole."""
    wanted = [name.casefold() for name in names if name]
    words = [re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in wanted if len(name) > 2]

    def tells(one: EventRecord) -> bool:
        values = [one.provider.casefold(), *(value.casefold() for value in one.data)]
        text = one.text.casefold()
        return any(name in values for name in wanted) or any(
            word.search(value) for word in words for value in (*values, text)
        )

    return [one for one in found if tells(one)]
