"""What the steps of a unit's life are called, by everybody who shows them.

Room: domain. Hooks go by their names in the playbook; text that may hold a secret names the reference alone.
"""

from collections.abc import Iterator

from orchestrator.domain.durations import spoken
from orchestrator.domain.gates import CommandCheck, HttpCheck, describe
from orchestrator.domain.life import Hook, Life, Reboot
from orchestrator.domain.results import Phase, Step
from orchestrator.domain.secrets import has_secret, shown

Act = HttpCheck | CommandCheck | Reboot
"""What a hook does."""
MOST_OF_BODY = 120
"""How many characters of a request's body are shown."""
_NAMES = {Phase.KEEP_DOWN: "keep down"}
_DOING = {
    Phase.STOP: "stopping",
    Phase.START: "starting",
    Phase.READ: "reading",
    Phase.LOOK: "reading",
    Phase.KEEP_DOWN: "keeping down",
    Phase.RELEASE: "releasing",
    Phase.KILL: "killing",
    Phase.WATCH: "watching",
    Phase.COUNT: "counting",
}


def hook_words(phase: Phase, name: str, *, undoes: bool = False, act: Act | None = None) -> str:
    """`pre_stop hook drain`, `pre_stop hook 1` for one without a name of its own, `undo of "out of the pool"`.

    What is done between stop and start is seldom named: *act*, where it is known, tells what it is (`(reboot)`).
    """
    if undoes or phase is Phase.UNDO:
        return f"undo of {_quoted(name)}"
    place = name.removeprefix(f"{phase}.")
    unnamed = phase is Phase.BETWEEN and act is not None and place != name
    return f"{phase} hook {_quoted(place)}" + (f" ({_in_a_word(act)})" if unnamed and act is not None else "")


def _in_a_word(act: Act) -> str:
    if isinstance(act, Reboot):
        return "reboot"
    return shown(act.exe).rpartition("\\")[2] if isinstance(act, CommandCheck) else describe(act)


def _quoted(name: str) -> str:
    """A name of several words would be lost among ours."""
    return f'"{name}"' if " " in name else name


def step_words(step: Step, life: Life | None = None) -> str:
    """A step as its result is told: `stop`, `keep down`, `pre_stop hook drain`. *life* is that of its node."""
    if _carries_out(step):
        return hook_words(step.phase, step.hook, undoes=undoes(step, life), act=_act(step, life))
    return _gate_down(step) or _NAMES.get(step.phase, str(step.phase))


def doing(step: Step, life: Life | None = None) -> str:
    """A step while it goes on, in a word or a few: `stopping`, `precheck`, `undoing drain`."""
    if _carries_out(step):
        undoing = step.phase is Phase.UNDO or undoes(step, life)
        return f"undoing {_quoted(step.hook)}" if undoing else hook_words(step.phase, step.hook, act=_act(step, life))
    return _gate_down(step) or _DOING.get(step.phase, str(step.phase))


def _gate_down(step: Step) -> str:
    """`stopped gate`: of a unit that goes down and up in one life there are others, too."""
    return f"{step.hook} gate" if step.phase is Phase.GATE and step.hook else ""


def _act(step: Step, life: Life | None) -> Act | None:
    found = hook_of(step, life)
    return found.do if found else None


def undoes(step: Step, life: Life | None) -> bool:
    """Whether *step* carries out the undo of a hook that another stage did."""
    found = hook_of(step, life)
    return found is not None and found.undoes


def hook_of(step: Step, life: Life | None) -> Hook | None:
    """The hook of *life* that *step* carries out; None if it carries out none of them."""
    if life is None or not _carries_out(step):
        return None
    return next((hook for hook in hooks(life) if hook.name == step.hook), None)


def _carries_out(step: Step) -> bool:
    return step.hook != "" and step.phase not in (Phase.READ, Phase.GATE, Phase.RELEASE)


def hooks(life: Life) -> Iterator[Hook]:
    """All hooks of a node, in the order in which they are carried out."""
    yield from life.before
    yield from life.after


def limit_s(step: Step, life: Life | None, *, act_s: float, gates_s: float) -> float:
    """How long *step* may take; 0 where nothing says. *act_s* is the limit of a start or stop, *gates_s* of gates."""
    if step.phase in (Phase.START, Phase.STOP):
        return act_s
    if step.phase is Phase.GATE:
        return gates_s
    hook = hook_of(step, life)
    if life is None or hook is not None:
        return hook.timeout_s if hook else 0.0
    if step.phase is Phase.HEALTHY:
        return life.healthy_s
    gates = {Phase.PRECHECK: life.prechecks, Phase.DRAINED: life.drained}.get(step.phase, ())
    return max((gate.deadline_s for gate in gates), default=0.0)


def request_words(act: Act) -> str:
    """What a hook sends or runs, whole enough for somebody who has to do it by hand: no headers, no secrets."""
    if isinstance(act, Reboot):
        return f"reboot, back within {spoken(act.timeout_s)}"
    if isinstance(act, CommandCheck):
        return " ".join(shown(word) for word in (act.exe, *act.args))
    body = shown(act.body)
    more = f" {body[:MOST_OF_BODY]}{'...' * (len(body) > MOST_OF_BODY)}" if body else ""
    return describe(act).removeprefix("http ") + more


def address_words(act: HttpCheck | CommandCheck) -> str:
    """What a hook asks, short enough to stand beside what came of it: no query, no arguments, no secrets."""
    return describe(act).partition(" ")[2].partition("?")[0]


def needs_secret(act: Act) -> bool:
    """Whether whoever does it by hand needs credentials that the playbook only names."""
    if isinstance(act, Reboot):
        return False
    if isinstance(act, CommandCheck):
        return any(map(has_secret, (act.exe, *act.args)))
    return any(map(has_secret, (act.url, act.body, *(value for _, value in act.headers))))
