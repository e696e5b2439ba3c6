"""What the pieces of one playbook are filled in with, and where their mistakes go."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.templates import Render


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The same for the whole of a draft.

    `address_of` gives a host's address; `resolve` turns what the playbook names into an address, be it a host of the
    inventory or not.
    """

    render: Render
    address_of: Callable[[str], str]
    resolve: Callable[[str], str]
    found: Findings
