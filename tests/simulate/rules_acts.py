"""What reaches a host: intents, repeats, lost leases, rejected credentials; and what is told of it afterwards."""

from collections import Counter, defaultdict

from course import BRINGS, RUN, Course, step_id
from rule import Rule, Test
from staging import Json

CONTROLS = ("start", "stop", "resume")
NOT_NOW = 1061


class Acts(Rule):
    """intent: no request without its intent on record. once: at most one request per step id that may have arrived.
    observed: an ok is backed by a read, made in that step after its request, that found the goal. epoch: no request
    and no fact of a process whose run was taken over. auth: credentials that a host rejected are not tried again.
    direction: a step asks for what its stage is for. untouched: the way back acts on what the run touched alone.
    reissue: before a lost step's request is made anew, the state is read."""

    NAMES = ("intent", "once", "observed", "epoch", "auth", "direction", "untouched", "reissue")

    def __init__(self, test: Test, courses: dict[str, Course]) -> None:
        super().__init__(test, courses)
        self.run_of: dict[int, str] = {}
        self.sent: dict[str, list[Json]] = defaultdict(list)
        """Run and step id -> the calls that asked for something."""
        self.reads: dict[tuple[int, str], list[Json]] = defaultdict(list)
        self.rejected: dict[tuple[int, str], int] = {}
        self.tries: Counter[tuple[int, str]] = Counter()
        """By process and host that rejected it, how often one and the same thing may still be asked."""
        self.tried: Counter[tuple[int, str, str, str]] = Counter()
        self.last_call: dict[tuple[int, str, str], Json] = {}
        self.refused: dict[int, int] = {}
        """By the call's entry: the number with which Windows said no."""
        self.went_down: dict[str, int] = {}
        """When each host restarted last: what it was asked before is void."""

    def see(self, entry: Json) -> None:
        """See Rule."""
        if entry["what"] == "process" and entry["did"] == "started":
            self.run_of[entry["by"]] = entry.get("run", "")
        elif entry["what"] == "call":
            self._call(entry)
        elif entry["what"] == "down":
            self.went_down[entry["host"]] = entry["n"]
        elif entry["what"] == "arrived" and entry["refused"] is not None:
            call = self.last_call.get((entry["by"], entry["host"], entry["service"]))
            if call is not None:
                self.refused[call["n"]] = entry["refused"]

    def _call(self, entry: Json) -> None:
        key = (entry["by"], entry["host"])
        if key in self.rejected:
            same = (*key, entry["verb"], entry["of"])
            self.tried[same] += 1
            said = f"{entry['host']} is tried again after it rejected the credentials"
            self.test("auth", self.tried[same] <= self.tries[key], entry["n"], said)
        if entry["verb"] == "read":
            self.reads[key].append(entry)
        elif entry["verb"] in CONTROLS:
            self._request(entry)
        if entry["told"] == "auth":
            course = self.courses.get(self.run_of.get(entry["by"], ""))
            if course is not None and key not in self.rejected:
                busy = (*course.under_way, *course.watches)
                on_host = [unit for unit in busy if unit.rpartition("@")[2] == entry["host"]]
                # Each step under way hears of it once by its own try: two if an exchange of it was on its way. What a
                # step asks for beside the state is one try more, and nothing of it is sent.
                self.tries[key] = 2 * len(on_host)
                self.rejected[key] = entry["n"]

    def _request(self, entry: Json) -> None:
        by, name = entry["by"], f"{entry['verb']} {entry['of']}@{entry['host']}"
        course = self.courses.get(self.run_of.get(by, ""))
        known = None if course is None else _step_of(course, entry)
        if course is None or known is None:
            self.test("intent", False, entry["n"], f"{name} was asked and no intent of it is on record")
            return
        self.test("intent", known["by"] == by, entry["n"], f"{name} was asked by {by}, intended by {known['by']}")
        step = known["step"]
        stage, _ = course.node(step)
        goal = stage.goal_of(step)
        wanted = ("stop",) if goal == "Stopped" else ("start", "resume")
        fits = entry["verb"] in wanted and step["phase"] in (wanted[0], "kill" if wanted[0] == "stop" else "")
        self.test("direction", fits, entry["n"], f"{name} on the way to {goal}")
        self.test("epoch", course.by == by, entry["n"], f"{name} was asked by {by}; the run is {course.by}'s")
        if stage.number >= course.forward:
            before = self.courses.get(course.began["of"])
            touched = step["unit"] in course.touched or (before is not None and step["unit"] in before.touched)
            self.test("untouched", touched, entry["n"], f"{name} on the way back; the run had not touched it")
        asked = self.sent[f"{course.run} {step_id(step)}"]
        last = asked[-1] if asked else None
        again = last is None or (last["told"] != "ok" and not last["sent"]) or self.refused.get(last["n"]) == NOT_NOW
        again = again or (last is not None and self.went_down.get(entry["host"], -1) > last["n"])
        if step["phase"] != "kill":  # what recovery actions revive is stopped again
            self.test("once", again, entry["n"], f"{name} was asked twice in {step['unit']}/{step['attempt']}")
        if step["attempt"] > 1:
            read = self._read_between(by, entry["host"], known["intended"], entry["n"], entry["of"])
            self.test("reissue", read is not None, entry["n"], f"{name} is asked anew and its state was not read")
        asked.append(entry)
        self.last_call[by, entry["host"], entry["of"]] = entry

    def _read_between(self, by: int, host: str, after: int, until: int, name: str) -> Json | None:
        """The last read of the service that *by* began after one entry and had answered before another."""
        for read in reversed(self.reads[by, host]):
            if read["n"] < after:
                return None
            if read["told"] == "ok" and read["ended"] <= until and name in read["states"]:
                return read
        return None

    def before(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] == "run_resumed" or fact.get("verdict") == "closed":
            return  # that is how a run changes hands
        if course.resumed:
            said = f"{fact['kind']} is written by {entry['by']}; the run is {course.by}'s"
            self.test("epoch", course.by == entry["by"], entry["n"], said)

    def after(self, course: Course, fact: Json, entry: Json) -> None:
        """See Rule."""
        if fact["kind"] == "rollback_began":
            acting = [
                node["unit"]["id"] for stage in fact["stages"] for node in stage["nodes"] if node["role"] == "act"
            ]
            others = [unit for unit in acting if unit not in course.touched]
            self.test("untouched", not others, entry["n"], f"the way back would act on {others}, never touched")
        elif fact["kind"] == "step_ended":
            self._ended(course, fact["result"], entry)
        elif fact["kind"] == "step_intended":
            host = fact["step"]["unit"].rpartition("@")[2]
            self.tries[entry["by"], host] += 1

    def _ended(self, course: Course, result: Json, entry: Json) -> None:
        step = result["step"]
        known = course.steps.get(step_id(step))
        there = known is not None and known["by"] == entry["by"]
        self.test(
            "intent", there, entry["n"], f"{step['unit']} {step['phase']} ended and was not begun by {entry['by']}"
        )
        unit = course.units.get(step["unit"])
        if known is None or unit is None or unit["scm_name"] is None or result["outcome"] != "ok":
            return
        if step["phase"] not in (*BRINGS, "read"):
            return
        stage, place = course.node(step)
        asked = self.sent.get(f"{course.run} {step_id(step)}")
        since = asked[-1]["n"] if asked else known["intended"]
        name = unit["scm_name"]
        read = self._read_between(entry["by"], unit["host"], since, entry["n"], name)
        found = read["states"][name] if read else "nothing"
        ends = step["phase"] in BRINGS or stage.nodes[place]["role"] == "probe"
        goal = stage.goal_of(step)
        wanted = goal if ends else result["after"]
        backed = found == wanted
        if ends and goal == "Stopped":  # it may be up again while its process is waited for
            reads = self.reads[entry["by"], unit["host"]]
            backed = any(one["states"].get(name) == wanted for one in reads if one["n"] > since and one["told"] == "ok")
        self.test("observed", backed, entry["n"], f"{step['unit']} is told ok; the last read after it found {found}")


def _step_of(course: Course, entry: Json) -> Json | None:
    """The step that is under way for the unit that a request names."""
    for known in course.under_way.values():
        if known["step"]["unit"] == RUN:
            continue
        unit = course.units[known["step"]["unit"]]
        same = unit["host"] == entry["host"] and (unit["scm_name"] or "").lower() == entry["of"].lower()
        if same and known["step"]["phase"] in BRINGS:
            return known
    return None
