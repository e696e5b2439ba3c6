"""What the playbook says about failures, decisions and notices, rendered, with its names looked up."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.domain.errors import BadInput, ProblemKind, TemplateError
from orchestrator.domain.inventory.connection_variables import ZONE
from orchestrator.domain.inventory.model import Inventory
from orchestrator.domain.inventory.patterns import select
from orchestrator.domain.inventory.rendering import Rendered, VariableError
from orchestrator.domain.playbook.findings import Findings
from orchestrator.domain.playbook.policy_shapes import DecisionsShape, NoticeShape, PolicyShape, RuleShape
from orchestrator.domain.playbook.reading import Playbook
from orchestrator.domain.playbook.values import nearest
from orchestrator.domain.policy import Approval, Do, Notice, OnTimeout, Rule, Window
from orchestrator.domain.secrets import OPEN
from orchestrator.domain.templates import Render, is_template
from orchestrator.domain.terms import Terms
from orchestrator.domain.tree import Node


class TermsReader:
    """Makes the terms of one draft."""

    def __init__(
        self,
        playbook: Playbook,
        inventory: Inventory,
        render: Render,
        found: Findings,
        notifies_by: Callable[[str], bool],
    ) -> None:
        self._playbook = playbook
        self._inventory = inventory
        self._render = render
        self._found = found
        self._notifies_by = notifies_by

    def terms(self, context: Mapping[str, object], acted: Mapping[str, None]) -> Terms:
        """The terms for a playbook that acts on the hosts *acted*; what is wrong, the findings tell.

        Cost: O(hosts * rules with a group), and of each host a look for its zone.
        """
        zones = tuple((zone, tuple(hosts)) for zone, hosts in self._zones(acted).items())
        piece = self._playbook.policy
        if piece is None:
            return Terms(zones=zones)
        said = piece.filled(self._render, context, self._found, None) or piece.without_templates() or PolicyShape()
        words = said.on_failure
        named = ((name, getattr(words, name)) for name in ("stop", "start", "restart")) if words else ()
        return Terms(
            on_failure=tuple((name, Do(word)) for name, word in named if word is not None),
            otherwise=Do(words.default) if words else Do.ASK,
            rules=tuple(self._rules(said.failure_rules, piece.node, acted)),
            max_failures=said.max_failures,
            zones=zones,
            approve_before=said.approve_before,
            approval=_approval(said.decisions) if said.decisions else Approval(),
            window=self._window(said, piece.node),
            rollback_timeout_s=said.rollback.timeout if said.rollback else Terms().rollback_timeout_s,
            notify=tuple(self._notices(said.notify, piece.node)),
        )

    def _zones(self, acted: Mapping[str, None]) -> dict[str, list[str]]:
        zones: dict[str, list[str]] = {}
        for name in acted:
            host = self._inventory.hosts[name]
            if ZONE not in host.variables:
                continue
            variables = Rendered(host, self._render)
            try:
                zone = variables[ZONE]
            except VariableError as error:
                self._found.add(error.mark, str(error), error.hint, host=name)
                continue
            if isinstance(zone, str | int) and not isinstance(zone, bool) and str(zone).strip():
                zones.setdefault(str(zone), []).append(name)
            elif zone is not None:
                self._found.add(variables.mark(ZONE), f"{ZONE} is no text", "write a name in quotes", host=name)
        return zones

    def _rules(self, rules: Sequence[RuleShape], node: Node, acted: Mapping[str, None]) -> Iterator[Rule]:
        known = sorted(declared.key for declared in self._playbook.services)
        for number, rule in enumerate(rules):
            for place, key in enumerate(rule.service):
                if key not in known:
                    mark = node.at(["failure_rules", number, "service", place]).mark
                    self._found.add(mark, f"{key!r} is no service of this playbook", nearest(key, known))
            hosts = self._hosts(rule.group, node.at(["failure_rules", number, "group"]), acted)
            if hosts is None:
                continue
            yield Rule(
                do=Do(rule.do),
                kinds=tuple(ProblemKind(word) for word in rule.kind),
                services=rule.service,
                hosts=hosts,
                count=rule.count,
            )

    def _hosts(self, group: str | None, node: Node, acted: Mapping[str, None]) -> tuple[str, ...] | None:
        """The hosts of *group*, none for any; None if the rule fits none, which the findings tell."""
        if group is None:
            return ()
        try:
            hosts = tuple(host for host in select(self._inventory, group) if host in acted)
        except BadInput as error:
            self._found.add(node.mark, str(error), error.hint)
            return None
        if not hosts:
            right = "`orch inventory` lists hosts and groups"
            self._found.add(node.mark, f"no host that this playbook acts on matches {group!r}", right)
            return None
        return hosts

    def _window(self, said: PolicyShape, node: Node) -> Window | None:
        if said.window is None:
            return None
        if not _is_time_zone(said.window.tz):
            self._found.add(
                node.at(["window", "tz"]).mark,
                f"there is no time zone {said.window.tz!r}",
                "an IANA name such as Europe/Berlin, or UTC",
            )
        return Window(until=said.window.until, tz=said.window.tz)

    def _notices(self, notices: Sequence[NoticeShape], node: Node) -> Iterator[Notice]:
        for number, notice in enumerate(notices):
            own = node.at(["notify", number])
            self._check_scheme(notice.url, own.at(["url"]))
            yield Notice(
                url=notice.url,
                on=notice.events,
                title=self._later(own, "title", notice.title, notice.events),
                body=self._later(own, "body", notice.body, notice.events),
                remind_s=notice.remind,
            )

    def _check_scheme(self, url: str, node: Node) -> None:
        """A secret may hold the scheme too: then it is seen when the notice is sent."""
        scheme = url.partition("://")[0]
        if OPEN not in scheme and not is_template(scheme) and not self._notifies_by(scheme.lower()):
            self._found.add(
                node.mark,
                f"apprise knows no {scheme}://",
                "one of its own: mailto://..., slack://..., json://HOST/PATH",
            )

    def _later(self, notice: Node, key: str, read: str, events: Sequence[str]) -> str:
        """The text of a notice, as a template that holds with the names that there will be."""
        node = notice.at([key])
        if not isinstance(node.value, str) or not is_template(node.value):
            return read
        from orchestrator.domain.notices import SAMPLES  # noqa: PLC0415  what facts and plans are, for few playbooks

        for event in events:
            try:
                self._render(node.value, SAMPLES[event])
            except TemplateError as error:
                self._found.add(node.mark, str(error), error.hint)
                break
        return node.value


def _is_time_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  few playbooks have a window, and every command reads one

    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; not a name; the name of a folder of zones
        return False
    return True


def _approval(said: DecisionsShape) -> Approval:
    return Approval(
        approvers=said.approvers,
        min_approvals=said.min_approvals,
        not_requester=said.not_requester,
        timeout_s=said.timeout,
        on_timeout=OnTimeout(said.on_timeout),
    )
