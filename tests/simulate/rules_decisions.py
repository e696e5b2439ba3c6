"""Decisions: asked once for one cause, answered once, by those who may; and what nobody has answered yet holds."""

from collections import defaultdict

from course import ACTS, CHANGES, TOWARDS, Course, found_last
from rule import Rule, Test
from staging import Json

ONE_FOR_THE_RUN = ("unreachable", "auth")
ACTING = ("continue", "rollback", "retry", "skip", "exclude")
LATE_S = 60.0


class Decisions(Rule):
    """asked once: while a decision is open, its cause opens no other. one answer: a decision is answered once, with
    what the store settled, and only one voice settled it. approvals: by as many as it takes, who may, and whose newest
    word it was. offered: with a choice that was offered. approved: nothing is touched before `approve_before` was
    answered. budget: nothing new begins once more failed than `max_failures`. fresh look: what was touched is read
    again before a way back begins. drift: what others moved since is not acted on, unless somebody accepted that."""

    NAMES = ("asked once", "one answer", "approvals", "offered", "approved", "budget", "fresh look", "drift")

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.words: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        """What each person said last to what is not settled yet."""
        self.settled: dict[tuple[str, int], Json] = {}
        self.unsaid: tuple[int, list[int], int, str] | None = None
        """The last question, of which the next fact says whether a person is asked."""

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        kind = fact["kind"]
        self._settle_asked(fact)
        if kind == "decision_asked":
            self._asked(course, fact, entry)
        elif kind == "decision_answered":
            self._answered(course, fact, entry)
        elif kind == "rollback_began":
            for unit in course.touched:
                looked = _looked_since(course, unit)
                self.test("fresh look", looked, entry["n"], f"the way back begins and {unit} was not read again")
            self._drift(course, fact, entry)
        elif kind == "step_intended" and course.of_life(fact["step"]):
            self._begins(course, fact["step"], entry)

    def _drift(self, course: Course, fact: Json, entry: Json) -> None:
        """Whether the way back leaves alone what others moved."""
        if any(one["accept_drift"] for one in course.resumed):
            return
        nodes = [(stage["goal"], node) for stage in fact["stages"] for node in stage["nodes"]]
        for goal, unit in [(goal, node["unit"]["id"]) for goal, node in nodes if node["role"] == "act"]:
            left, found = course.left.get(unit, ""), found_last(course, unit)
            late = found in TOWARDS.get(course.coming.get(unit, ""), ())
            moved = left and found and found != left and not left.endswith("Pending") and not late
            moved = moved and found != goal  # of what is there already, hooks alone are undone
            self.test("drift", not moved, entry["n"], f"{unit} was left {left}, is {found}, and would be acted on")

    def _asked(self, course: Course, fact: Json, entry: Json) -> None:
        cause = _cause(fact["cause"])
        same = [one["number"] for one in course.open_decisions() if _cause(one["cause"]) == cause]
        self.unsaid = (fact["decision"], same, entry["n"], f"{fact['decision']} asks what {same} asks: {cause}")
        self.test("asked once", fact["decision"] == len(course.decisions) + 1, entry["n"], "a number is left out")

    def _settle_asked(self, fact: Json) -> None:
        """What was asked last may ask what is open already, if the policy answers it at once."""
        if self.unsaid is None:
            return
        (number, same, at, said), self.unsaid = self.unsaid, None
        policy = fact["kind"] == "decision_answered" and fact["answer"]["source"] == "policy"
        self.test("asked once", not same or (policy and fact["decision"] == number), at, said)

    def _answered(self, course: Course, fact: Json, entry: Json) -> None:
        decision = course.decisions.get(fact["decision"])
        answer = fact["answer"]
        is_open = decision is not None and decision["open"]
        self.test("one answer", is_open, entry["n"], f"{fact['decision']} is answered and not open")
        if decision is None:
            return
        self.test("offered", answer["choice"] in decision["choices"], entry["n"], f"{answer['choice']} was not offered")
        key = (course.run, fact["decision"])
        if answer["source"] == "policy":
            return
        settled = self.settled.get(key)
        same = settled is not None and settled["settled"] == answer["choice"]
        self.test("one answer", same, entry["n"], f"{answer['choice']} is taken; the store settled on {settled}")
        if answer["source"] == "person":
            self._approved_by(course, answer, entry, self.words[key])

    def _approved_by(self, course: Course, answer: Json, entry: Json, words: dict[str, str]) -> None:
        approval = course.plan["policy"]["approval"]
        voices = set(answer["approvals"])
        meant = {who for who, said in words.items() if said == answer["choice"]}
        self.test("approvals", voices == meant, entry["n"], f"{sorted(voices)}; {words} is what they said last")
        needed = approval["min_approvals"] if answer["choice"] in ACTING else 1
        enough = len(voices) >= needed
        self.test("approvals", enough, entry["n"], f"{answer['choice']} by {sorted(voices)}; it takes {needed}")
        if approval["approvers"] and answer["choice"] in ACTING:
            may = voices <= set(approval["approvers"])
            self.test("approvals", may, entry["n"], f"{sorted(voices)} said it; {approval['approvers']} may")
        if approval["not_requester"] and answer["choice"] in ACTING:
            other = course.began["requester"] not in voices
            self.test("approvals", other, entry["n"], "the requester approved of it")

    def _begins(self, course: Course, step: Json, entry: Json) -> None:
        if step["stage"] >= course.forward:
            return
        policy = course.plan["policy"]
        if policy["approve_before"] and step["phase"] in (*ACTS, *CHANGES):
            answers = [one["answer"] for one in course.decisions.values() if one["cause"]["kind"] == "approval"]
            self.test("approved", "continue" in answers, entry["n"], f"{step['unit']} is touched before anybody agreed")
        if course.goes_on(step):
            return
        most = policy["max_failures"]
        if most is not None and step["attempt"] == 1:  # what goes again, somebody has sent again
            failed = len(course.failed)
            said = f"{step['unit']} begins after {failed} failures; {most} are allowed"
            self.test("budget", failed <= most, entry["n"], said)

    def see(self, entry: Json) -> None:
        """See Rule."""
        if entry["what"] != "store" or entry["did"] not in ("vote", "settle_by_timeout") or entry["no"]:
            return
        key = (entry["run"], entry["decision"])
        first = self.settled.get(key)
        if entry["did"] == "vote" and first is None:
            self.words[key][entry["voter"]] = entry["choice"]
        if entry["settled"] is None:
            return
        same = first is None or (entry["did"] == "settle_by_timeout" and first["settled"] == entry["settled"])
        self.test("one answer", same, entry["n"], f"decision {key} was settled by {first and first['n']} already")
        self.settled.setdefault(key, entry)


def _cause(cause: Json) -> tuple[str, str, str]:
    """What makes two causes the same one."""
    problem = cause["problem"] or ""
    kind = "failure" if cause["kind"] == "vanished" else cause["kind"]
    if kind == "pause":
        return (kind, problem, str(cause["units"]))  # a batch, of which somebody is asked
    return (kind, problem, "" if problem in ONE_FOR_THE_RUN else cause["service"])


def _looked_since(course: Course, unit: str) -> bool:
    """Whether the state of *unit* was asked for since the run last acted on it."""
    acts, looks = [-1], [-1]
    for known in course.steps.values():
        if known["step"]["unit"] == unit:
            if known["step"]["phase"] in ACTS:
                acts.append(known["intended"])
            elif known["step"]["phase"] in ("look", "read"):
                looks.append(known["intended"])
    return max(looks) > max(acts)
