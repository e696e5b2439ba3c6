"""Asks ansible-core, in a process of its own, what it makes of inventories.

Reads JSON from stdin: [{"inventory": PATH or [PATH, ...], "patterns": [TEXT, ...]}, ...]. Prints one JSON list of
answers: groups with their hosts and children, the variables of each host, the hosts of each pattern (None: Ansible
refused it). With a first argument, that is the password of ansible-vault.
"""

import json
import sys
from importlib import import_module
from typing import Any


def _plain(value: Any) -> Any:
    """Without Ansible's tags."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def _answer(inventory: Any, variables: Any, patterns: list[str]) -> dict[str, Any]:
    shown_by_cli = import_module("ansible.cli.inventory").InventoryCLI._remove_internal  # noqa: SLF001  its own filter
    refusal = import_module("ansible.errors").AnsibleError

    def listed(pattern: str) -> list[str] | None:
        try:
            return [str(host.name) for host in inventory.get_hosts(pattern)]
        except refusal:
            return None

    def group_names(host: Any) -> list[str]:
        return sorted(str(group.name) for group in host.get_groups() if group.name != "all")

    return {
        "groups": {
            str(name): {
                "listed": [str(host.name) for host in group.hosts],
                "hosts": [str(host.name) for host in group.get_hosts()],
                "children": [str(child.name) for child in group.child_groups],
                "depth": group.depth,
                "priority": group.priority,
            }
            for name, group in inventory.groups.items()
        },
        "hosts": {
            str(name): {
                "groups": group_names(host),
                "variables": _plain(
                    shown_by_cli(variables.get_vars(host=host, include_hostvars=False, stage="all")),
                ),
            }
            for name, host in inventory.hosts.items()
        },
        "patterns": {pattern: listed(pattern) for pattern in patterns},
    }


def main() -> None:
    """Answer what stdin asks."""
    import_module("ansible.cli")  # sets Ansible up
    import_module("ansible.plugins.loader").init_plugin_loader([])
    vault = import_module("ansible.parsing.vault")
    secrets = [("default", vault.VaultSecret(word.encode())) for word in sys.argv[1:]]
    vault.VaultSecretsContext.initialize(vault.VaultSecretsContext(secrets))
    answers = []
    for case in json.load(sys.stdin):
        loader = import_module("ansible.parsing.dataloader").DataLoader()
        loader.set_vault_secrets(secrets)
        inventory = import_module("ansible.inventory.manager").InventoryManager(loader, case["inventory"])
        variables = import_module("ansible.vars.manager").VariableManager(loader, inventory)
        answers.append(_answer(inventory, variables, case["patterns"]))
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
