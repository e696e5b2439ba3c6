"""What the domain knows of templates: how to tell one, and what renders it. Jinja2 itself lives in an adapter."""

from collections.abc import Callable, Mapping

Render = Callable[[str, Mapping[str, object]], object]
"""Renders a text with the names it may use; raises TemplateError alone. One expression gives the value itself."""


def is_template(text: str) -> bool:
    """Whether *text* holds anything that Jinja2 would look at."""
    return "{{" in text or "{%" in text or "{#" in text
