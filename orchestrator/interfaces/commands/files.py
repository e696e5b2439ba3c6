"""`orch validate | inventory | schema`: what the files say. No host is asked, and nothing that asks hosts is loaded."""

import json as json_module
import sys
from pathlib import Path

from orchestrator import state_wiring
from orchestrator.domain.errors import BadInput
from orchestrator.interfaces.boundary import boundary
from orchestrator.interfaces.loading import load, load_hosts
from orchestrator.interfaces.options import Sources


def validate(*, plan: Path, inventory: Sources, json: bool) -> None:
    """Load everything; mistakes end the command."""
    with boundary(state_wiring.state_folder(None)):
        draft = load(plan, inventory).draft
        instances = sum(len(entry.instances) for entry in draft.entries if not entry.external)
        services, hosts = len(draft.entries), len(draft.hosts)
        said = f"{plan}: valid; services {services}, instances {instances}, hosts {hosts}; no host was asked"
        if json:
            told = {"name": draft.name, "services": services, "instances": instances, "hosts": hosts}
            said = json_module.dumps(told)
        sys.stdout.write(said + "\n")


def inventory(*, pattern: str, inventory: Sources, plan: Path | None, json: bool) -> None:
    """Show the hosts that *pattern* names, and how each would be reached."""
    with boundary(state_wiring.state_folder(None)):
        if not inventory.files and plan is None:
            hint = "orch inventory --inventory FILE, or --plan FILE for the one that a playbook names"
            raise BadInput("no inventory is named", hint=hint)
        found = load_hosts(plan, inventory, pattern)
        hosts, connections = found.inventory, found.connections
        from orchestrator.interfaces.inventory_view import group_table, groups, rows, table  # noqa: PLC0415 - draws
        from orchestrator.interfaces.terminal import out, print_json  # noqa: PLC0415 - draws

        chosen, grouped = rows(hosts, connections, connections), groups(hosts)
        if json:
            print_json(json_module.dumps({"hosts": chosen, "groups": grouped}))
        else:
            out().print(table(chosen), group_table(grouped))


def schema() -> None:
    """Print what editors check playbooks by."""
    with boundary(state_wiring.state_folder(None)):
        from orchestrator.domain.playbook.schema import playbook_schema  # noqa: PLC0415 - for this command alone

        sys.stdout.write(json_module.dumps(playbook_schema(), indent=2) + "\n")
