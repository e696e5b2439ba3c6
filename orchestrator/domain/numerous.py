"""Dataclasses of which a plan has tens of thousands: frozen to the type checker, and to nobody at run time.

Python keeps its own frozen ones so by a call for each field of each object, a sixth of what planning cost.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as numerous
else:

    def numerous(*, frozen: bool, **options: Any) -> Any:
        """`dataclass`, but for what *frozen* costs: its hash is left."""
        return dataclass(unsafe_hash=frozen, **options)


__all__ = ["numerous"]
