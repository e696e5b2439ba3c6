"""Compiled templates, what they give, and their errors in our words. Importing this module imports Jinja2."""

from collections.abc import Iterator, Mapping

from jinja2 import Template, TemplateSyntaxError
from jinja2 import TemplateError as Jinja2Error

from orchestrator.adapters.templates.sandbox import KNOWN, Sandbox, join
from orchestrator.domain.errors import TemplateError
from orchestrator.domain.secrets import CLOSE, OPEN, shown, split

LONGEST_TEMPLATE = 8_192


class Compiled:
    """Templates by their text, each compiled once."""

    def __init__(self) -> None:
        self._sandbox = Sandbox()
        self._by_text: dict[str, tuple[Template, tuple[str, ...]]] = {}

    def render(self, text: str, context: Mapping[str, object]) -> object:
        """The value of *text*. Raises TemplateError alone; see Renderer."""
        try:
            template, names = self._by_text.get(text) or self._compile(text)
            used = {name: context[name] for name in names if name in context}
            scope = template.new_context({**self._sandbox.globals, **used, KNOWN: context}, shared=True)
            return _value(list(template.root_render_func(scope)))
        except TemplateSyntaxError as error:
            raise TemplateError(f"{_excerpt(text)}: {error.message}") from error
        except RecursionError:
            raise TemplateError(f"{_excerpt(text)}: it is nested too deeply") from None
        except SyntaxError as error:
            raise TemplateError(f"{_excerpt(text)}: it can't be compiled") from error
        except (Jinja2Error, ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
            raise TemplateError(f"{_excerpt(text)}: {error}") from error

    def _compile(self, text: str) -> tuple[Template, tuple[str, ...]]:
        if len(text) > LONGEST_TEMPLATE:
            raise ValueError(f"a template has at most {LONGEST_TEMPLATE} characters")
        compiled = self._by_text[text] = self._sandbox.compiled(text)
        return compiled


def _value(pieces: list[object]) -> object:
    if len(pieces) == 1 and not isinstance(pieces[0], str):
        return _plain(pieces[0])
    text = join(pieces)
    if OPEN in text or CLOSE in text:
        _check_references(text)
    return text


def _check_references(text: str) -> None:
    """A reference that a filter or a slice has cut or changed would leak or lead nowhere: refuse it here."""
    try:
        plain = [piece for piece in split(text) if isinstance(piece, str)]
    except ValueError:
        plain = [OPEN]
    if any(OPEN in piece or CLOSE in piece for piece in plain):
        raise ValueError("a secret can't be cut or changed; use it whole")


def _plain(value: object) -> object:
    """*value* if it is data alone. An undefined value fails here, as it would when printed."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _value([value])
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | Iterator):
        return [_plain(item) for item in value]
    str(value)  # raises for an undefined value, with its name
    raise TypeError(f"it gives a {type(value).__name__}, not data")


def _excerpt(text: str) -> str:
    line = shown(" ".join(text.split()))
    return line if len(line) <= 80 else line[:77] + "..."
