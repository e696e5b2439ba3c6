"""Renders Jinja2 texts of playbooks and inventories. Jinja2 itself is imported when the first template is met."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.domain.templates import is_template

if TYPE_CHECKING:
    from orchestrator.adapters.templates.compiled import Compiled


class Renderer:
    """Renders one text after another; compiled templates are kept by text for the life of the object.

    A text without a template comes back as it is, at the cost of looking. A text that is one expression
    (`{{ host.sql_port }}`) gives the value itself, so that a number stays one; anything else gives text.
    `secret('env:NAME')` gives a reference (`domain.secrets`), never the secret.
    """

    def __init__(self) -> None:
        self._compiled: Compiled | None = None

    def __call__(self, text: str, context: Mapping[str, object]) -> object:
        """*text* rendered with the names of *context*.

        Raises:
            TemplateError: bad syntax, an undefined name (the nearest known one is named), something the sandbox does
                not offer, or a result that is too long or no plain data.
        """
        if not is_template(text):
            return text
        if self._compiled is None:
            from orchestrator.adapters.templates.compiled import Compiled  # noqa: PLC0415  it imports Jinja2

            self._compiled = Compiled()
        return self._compiled.render(text, context)
