"""One seed, played again and told line by line for a person."""

import sys

from course import step_id
from judge import judged
from night import Broken, played
from seeds import Script, script
from witness import Entry

from orchestrator.domain.life import Hook, IfStuck, Life


def told(seed: int) -> int:
    """Print the night of *seed* and what is wrong with it; 1 if anything is."""
    made = script(seed)
    try:
        entries = played(made)
    except Broken as broken:
        entries = broken.entries
    lines = [*_beginning(made), *map(line_of, entries)]
    violations = judged([seed]).failed.get(seed, [])
    lines += [f"VIOLATED {one.invariant}, at {one.at}: {one.said}" for one in violations] or ["all invariants hold"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if violations else 0


def _beginning(made: Script) -> list[str]:
    plan = made.plan
    lines = [f"seed {made.seed} ({made.profile}): {plan.action} of {plan.name}; policy {plan.policy}"]
    for number, stage in enumerate(plan.stages):
        lines.append(f"stage {number} to {stage.goal}, limits {stage.limits}")
        for place, node in enumerate(stage.nodes):
            lines.append(
                f"  {place}: {node.role} {node.unit.id} waits for {node.waits_for}, after {node.begins_after}, "
                f"{len(node.gates)} gates, {node.timeout_s:g} s"
            )
            lines += [f"      {life}" for life in [_life(node.life)] if life]
            lines += [f"      {node.batch}"] if node.batch else []
            lines += [f"      down first: {_life(node.down.life)}; {len(node.down.gates)} gates"] if node.down else []
        lines += [f"  barrier {n}: {b.instances} need {b.need}{' soft' * b.soft}" for n, b in enumerate(stage.barriers)]
    for host, service in made.services:
        odd = {
            "refuses": {str(control) for control in service.refuses},
            "hangs": {str(control) for control in service.hangs},
            "fails_to_start": service.fails_to_start,
            "can't stop": not service.can_stop,
            "crashes_after_s": service.crashes_after_s,
            "lingers_s": service.lingers_s,
            "shares": service.shares,
            "revives_s": service.revives_s,
        }
        lines.append(
            f"  {service.name}@{host}: {service.state}, starts in {service.start_s:g} s, stops in {service.stop_s:g} s"
            + "".join(f", {name}: {value}" for name, value in odd.items() if value)
        )
    lines += [f"  comes: {event}" for event in made.events]
    lines += [f"  comes: {blow}" for blow in made.blows]
    lines += [f"  {key}: {', '.join(ways)}" for key, ways in made.behaves]
    lines += [f"  {key} holds from {since_s:g} s on" for key, since_s in made.holds_from if since_s]
    lines += [f"  in effect: {', '.join(made.in_effect)}"] if made.in_effect else []
    for name in ("begin", "end", "failure"):
        lines += [f"  on_{name}: {_hook(hook)}" for hook in getattr(plan.hooks, name)]
    lines.append(f"  cancel {made.cancel_at_s}, window {made.window_s}, rivals {made.rivals_at_s}, {made.patient=}")
    return lines


def _life(life: Life | None) -> str:
    if life is None:
        return ""
    said = {
        "prechecks": len(life.prechecks),
        "before": ", ".join(map(_hook, life.before)),
        "drained": len(life.drained),
        "after": ", ".join(map(_hook, life.after)),
        "healthy_s": life.healthy_s,
        "if_stuck": str(life.if_stuck) if life.if_stuck is not IfStuck.FAIL else "",
        "max_timeout_s": life.max_timeout_s,
        "kill_shared": ", ".join(life.kill_shared),
        "keep_down": life.keep_down,
    }
    return "; ".join(f"{name} {value}" for name, value in said.items() if value)


def _hook(hook: Hook) -> str:
    marks = (
        "undo of " * hook.undoes,
        hook.name,
        " once" * (not hook.idempotent),
        " checked" * (hook.check is not None),
    )
    return "".join(marks)


def line_of(entry: Entry) -> str:
    """One entry of the log in a line."""
    head = f"{entry['n']:5} {entry['t']:9.2f} s  "
    rest = {key: value for key, value in entry.items() if key not in ("n", "t", "what", "fact", "by")}
    by = f"[{entry['by']}] " if "by" in entry else ""
    if entry["what"] == "fact":
        return head + by + f"{entry['run']}: {_fact(entry['fact'])}"
    return head + by + f"{entry['what']} " + ", ".join(f"{k} {v}" for k, v in rest.items() if v not in ("", None))


def _fact(fact: Entry) -> str:
    kind = fact["kind"]
    if kind == "step_intended":
        step = fact["step"]
        return f"intends {step_id(step)}"
    if kind == "step_ended":
        result = fact["result"]
        step = result["step"]
        return f"ended {step_id(step)} {result['outcome']}, acted {result['acted']}: {result['said']}"
    hidden = ("plan", "stages", "version", "kind")
    return f"{kind} " + ", ".join(f"{key} {value}" for key, value in fact.items() if key not in hidden and value)
