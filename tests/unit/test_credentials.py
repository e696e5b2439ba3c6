"""The gate before secrets: who may try one, what a wrong one leads to, and that nobody waits for ever."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import in_virtual_time

from orchestrator.adapters.credentials import SETTING_OUT_S, SharedCredentials
from orchestrator.domain.connection import Auth, Connection, Transport
from orchestrator.domain.errors import AuthRejected, HostError, SecretError
from orchestrator.domain.secrets import Secret, SecretRef, embed
from orchestrator.domain.tries import TRIES, Ticket, Tries, Verdict
from orchestrator.engine.ports import PasswordQuestion

KEY = Secret(embed(SecretRef("file", "/run/key")))
WRONG, RIGHT, STALE = "wr0ng", "r1ght", "stale"


def connection(host: str, user: str = "svc", secret: Secret | None = KEY) -> Connection:
    return Connection(host=host, address=host, port=5986, user=user, password=secret, auth=Auth.NTLM)


def fleet(count: int) -> list[Connection]:
    return [connection(f"h-{number:02}") for number in range(count)]


@dataclass
class Scene:
    """Hosts that take some passwords and not others, and a source that gives one password after the other."""

    connections: Sequence[Connection]
    gives: list[str]
    answers: list[str | None] | None = None
    takes: Callable[[str, str], bool | None] = lambda host, secret: secret == RIGHT
    takes_s: Callable[[str], float] = lambda host: 1.0
    tried: list[tuple[str, str, bool | None]] = field(default_factory=list)
    fetched: list[bool] = field(default_factory=list)
    questions: list[PasswordQuestion] = field(default_factory=list)
    at_once: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.credentials = SharedCredentials(self.fetch, self.connections, self.ask if self.answers else None)

    async def fetch(self, text: str, *, anew: bool) -> str:
        self.fetched.append(anew)
        await asyncio.sleep(0.5)
        return self.gives[min(len(self.fetched), len(self.gives)) - 1]

    async def ask(self, question: PasswordQuestion) -> str | None:
        self.questions.append(question)
        await asyncio.sleep(60)
        assert self.answers is not None
        return self.answers.pop(0) if self.answers else None

    async def sign_in(self, one: Connection) -> str | None:
        """What a wire does: try as long as there is something to try; the secret that was taken."""
        while True:
            await self.credentials.check(one)
            try_ = await self.credentials.sign_in(one)
            secret = try_.secret
            assert secret is not None
            self.at_once[secret] += 1
            self.most_at_once[secret] = max(self.most_at_once[secret], self.at_once[secret])
            taken: bool | None = None
            try:
                await asyncio.sleep(self.takes_s(one.host))
                taken = self.takes(one.host, secret)
                self.tried.append((one.host, secret, taken))
            finally:
                self.at_once[secret] -= 1
                try_.end(accepted=taken)
            if taken is None:
                return None
            if taken:
                return secret

    async def all(self) -> list[str | BaseException | None]:
        """Every host signs in, side by side."""
        return await asyncio.gather(*map(self.sign_in, self.connections), return_exceptions=True)

    def rejections(self, secret: str) -> list[str]:
        return [host for host, tried, taken in self.tried if tried == secret and taken is False]


def refused(ends: Iterable[object]) -> list[AuthRejected]:
    return [end for end in ends if isinstance(end, AuthRejected)]


@in_virtual_time
async def test_two_vouch_for_the_rest() -> None:
    scene = Scene(fleet(50), [RIGHT])
    assert await scene.all() == [RIGHT] * 50
    assert scene.fetched == [False]
    assert asyncio.get_running_loop().time() == 0.5 + 1.0 + 1.0
    assert scene.most_at_once[RIGHT] == 48


@in_virtual_time
async def test_a_wrong_secret_is_fetched_anew_once_and_the_new_one_serves_all() -> None:
    scene = Scene(fleet(50), [STALE, RIGHT], answers=["never asked"])
    assert await scene.all() == [RIGHT] * 50, "those that rejected the old one too"
    assert (scene.fetched, len(scene.rejections(STALE)), scene.questions) == ([False, True], 2, [])


@in_virtual_time
async def test_one_question_is_asked_for_all_who_wait() -> None:
    scene = Scene(fleet(50), [WRONG], answers=[RIGHT])
    assert await scene.all() == [RIGHT] * 50
    (question,) = scene.questions
    one, other = question.rejected_by
    assert question == PasswordQuestion(user="svc", source="{file:/run/key}", rejected_by=(one, other), waiting=50)
    assert scene.rejections(WRONG) == [one, other]
    assert WRONG not in repr(question)


@in_virtual_time
async def test_a_new_secret_that_is_wrong_too_is_tried_by_two_and_asked_about() -> None:
    scene = Scene(fleet(9), [STALE, WRONG], answers=[RIGHT])
    assert await scene.all() == [RIGHT] * 9
    assert [len(scene.rejections(secret)) for secret in (STALE, WRONG)] == [2, 2]
    assert scene.most_at_once[WRONG] == 2
    assert len(scene.questions) == 1


@pytest.mark.parametrize("answers", [None, [None], [""], [WRONG], ["another wrong one"]])
@in_virtual_time
async def test_without_a_right_answer_all_are_refused_and_nobody_is_asked_again(
    answers: list[str | None] | None,
) -> None:
    scene = Scene(fleet(9), [WRONG], answers=answers)
    asked = 0 if answers is None else 1
    new = answers == ["another wrong one"]
    for _ in range(3):
        errors = refused(await scene.all())
        assert len(errors) == 9
    tried = sorted(scene.rejections("another wrong one" if new else WRONG))
    told = {error.host: error.text for error in errors}
    assert told.pop(tried[0]) == "it rejected svc before; the same secret is not tried there again"
    assert told.pop(tried[1]) == "it rejected svc before; the same secret is not tried there again"
    spared = f"svc was rejected by {' and '.join(tried)}; it was not tried here, so that the account is not locked"
    assert set(told.values()) == {spared}
    assert (len(scene.rejections(WRONG)), len(scene.questions), scene.fetched) == (2, asked, [False, True])
    assert all(WRONG not in f"{error} {error.hint}" for error in errors)


@in_virtual_time
async def test_hosts_that_accepted_a_secret_go_on_with_it_though_others_reject_it() -> None:
    odd = ("h-03", "h-04", "h-05")
    scene = Scene(fleet(6), [RIGHT], answers=[None], takes=lambda host, _: host not in odd)
    ends = await scene.all()
    assert [str(error.host) for error in refused(ends)] == list(odd)
    assert await scene.sign_in(scene.connections[0]) == RIGHT
    assert await scene.sign_in(scene.connections[1]) == RIGHT


@in_virtual_time
async def test_a_password_that_changes_in_mid_run_is_noticed_by_two() -> None:
    """The line to all hosts breaks after somebody changed the password: they all come back at once."""
    good = STALE
    scene = Scene(fleet(30), [STALE, RIGHT], takes=lambda _, secret: secret == good)
    assert await scene.all() == [STALE] * 30
    good = RIGHT
    assert await scene.all() == [RIGHT] * 30
    assert (len(scene.rejections(STALE)), scene.fetched) == (2, [False, True])


@in_virtual_time
async def test_a_user_is_the_same_however_it_is_spelled_and_another_is_not_held_up() -> None:
    spelled = [connection("a", "CORP\\svc"), connection("b", "corp\\SVC"), connection("c", "Corp\\Svc")]
    other = connection("d", "other")
    scene = Scene([*spelled, other], [WRONG], takes=lambda host, _: host == "d")
    ends = await scene.all()
    assert (len(refused(ends)), ends[3]) == (3, WRONG)
    assert len(scene.rejections(WRONG)) == 2


@in_virtual_time
async def test_two_references_to_one_password_are_one_password() -> None:
    plain = Secret("same everywhere")
    connections = [connection(f"h-{n}", secret=KEY if n % 2 else plain) for n in range(8)]
    scene = Scene(connections, ["same everywhere"], takes=lambda *_: False)
    assert len(refused(await scene.all())) == 8
    assert len(scene.tried) == 2


@in_virtual_time
async def test_the_only_host_of_a_secret_is_asked_about_after_one_rejection() -> None:
    scene = Scene(fleet(1), [WRONG], answers=[RIGHT])
    assert await scene.all() == [RIGHT]
    assert [question.rejected_by for question in scene.questions] == [("h-00",)]


@in_virtual_time
async def test_one_who_is_early_waits_for_those_who_are_on_their_way() -> None:
    """SSH takes longer than WinRM to come to the password."""
    scene = Scene(fleet(3), [STALE, RIGHT])
    early = asyncio.create_task(scene.sign_in(scene.connections[0]))
    await asyncio.sleep(2)
    await scene.credentials.check(scene.connections[1])
    await asyncio.sleep(5)
    assert len(scene.rejections(STALE)) == 1
    assert await asyncio.gather(early, *map(scene.sign_in, scene.connections[1:])) == [RIGHT] * 3


@in_virtual_time
async def test_one_who_is_early_waits_no_longer_than_a_connection_may_take() -> None:
    scene = Scene(fleet(3), [STALE, RIGHT])
    await scene.credentials.check(scene.connections[1])
    with pytest.raises(AuthRejected):
        await scene.sign_in(scene.connections[0])
    assert asyncio.get_running_loop().time() < 20
    alone = Scene(fleet(3), [STALE, RIGHT])
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(AuthRejected):
        await alone.sign_in(alone.connections[0])
    assert asyncio.get_running_loop().time() == began_s + SETTING_OUT_S, "nobody else has set out"


@in_virtual_time
async def test_a_reference_that_leads_nowhere_is_told_to_each_and_looked_up_once() -> None:
    looked_up = 0

    async def fetch(text: str, *, anew: bool) -> str:
        nonlocal looked_up
        looked_up += 1
        raise SecretError("file:/run/key: there is no such file", hint="write it")

    credentials = SharedCredentials(fetch, fleet(9))
    ends = await asyncio.gather(*map(credentials.sign_in, fleet(9)), return_exceptions=True)
    assert {str(end).partition(": ")[2] for end in ends} == {"no password: file:/run/key: there is no such file"}
    assert all(isinstance(end, HostError) and end.hint == "write it" for end in ends)
    with pytest.raises(SecretError):
        await credentials.prepare()
    assert looked_up == 1


@in_virtual_time
async def test_a_source_that_is_gone_when_it_is_asked_anew_leads_to_the_question() -> None:
    scene = Scene(fleet(4), [WRONG], answers=[RIGHT])
    fetch = scene.fetch

    async def gone(text: str, *, anew: bool) -> str:
        if anew:
            raise SecretError("it is gone")
        return await fetch(text, anew=anew)

    scene.credentials = SharedCredentials(gone, scene.connections, scene.ask)
    assert await scene.all() == [RIGHT] * 4


@in_virtual_time
async def test_questions_are_asked_one_at_a_time_and_withdrawn_at_the_end() -> None:
    scene = Scene([connection(f"h-{n}", f"user-{n % 2}") for n in range(8)], [WRONG], answers=[None, None])
    ends = asyncio.create_task(scene.all())
    await asyncio.sleep(30)
    assert len(scene.questions) == 1
    await asyncio.sleep(60)
    assert sorted(question.user for question in scene.questions) == ["user-0", "user-1"]
    ends.cancel()
    await asyncio.gather(ends, return_exceptions=True)
    await scene.credentials.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_a_question_outlives_those_who_gave_up_waiting() -> None:
    """A read has its deadline and a person needs longer: the next read finds the same question, not a second one."""
    scene = Scene(fleet(3), [WRONG], answers=[RIGHT])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(scene.all(), 20)
    assert await scene.all() == [RIGHT] * 3
    assert len(scene.questions) == 1


@in_virtual_time
async def test_a_turn_that_is_given_to_one_who_was_just_cancelled_goes_to_the_next() -> None:
    credentials = Scene(fleet(4), [RIGHT]).credentials
    one, two, three, four = fleet(4)
    first, second = await credentials.sign_in(one), await credentials.sign_in(two)
    third, fourth = asyncio.create_task(credentials.sign_in(three)), asyncio.create_task(credentials.sign_in(four))
    await asyncio.sleep(1)
    first.end(accepted=None)
    third.cancel()
    assert (await fourth).secret == RIGHT
    first.end(accepted=False)
    second.end(accepted=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"password": None}, "no password is set"),
        ({"password": Secret("")}, "the password is empty"),
        ({"user": ""}, "no user is set"),
        ({"password": None, "auth": Auth.KERBEROS}, ""),
        ({"password": None, "transport": Transport.SSH}, ""),
        ({"password": Secret(""), "transport": Transport.SSH}, "the password is empty"),
        ({"password": Secret("s"), "user": "", "transport": Transport.SSH}, ""),
        ({"password": None, "auth": Auth.CERTIFICATE}, ""),
    ],
)
@in_virtual_time
async def test_what_is_missing_is_told_before_anything_is_sent(changed: dict[str, object], said: str) -> None:
    async def fetch(text: str, *, anew: bool) -> str:
        return text

    one = replace(connection("a"), **changed)  # type: ignore[arg-type] # the fields are named above
    credentials = SharedCredentials(fetch, [one])
    ends = await asyncio.gather(credentials.check(one), credentials.sign_in(one), return_exceptions=True)
    wanted = [f"{said}; nothing was sent"] * 2 if said else []
    assert [error.text for error in refused(ends)] == wanted


OUTCOMES = st.sampled_from([True, False, None])


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 9),
    takes=st.dictionaries(st.tuples(st.integers(0, 8), st.sampled_from([STALE, WRONG, RIGHT])), OUTCOMES),
    takes_s=st.lists(st.integers(1, 9), min_size=9, max_size=9),
    gives=st.sampled_from([[WRONG], [STALE, WRONG], [STALE, RIGHT], [RIGHT]]),
    answers=st.sampled_from([None, [None], [RIGHT], [WRONG]]),
    cancelled=st.sets(st.tuples(st.integers(0, 8), st.integers(0, 12))),
    rounds=st.integers(1, 3),
)
@in_virtual_time
async def test_whatever_happens_a_secret_that_nobody_takes_is_rejected_twice_at_most(
    count: int,
    takes: dict[tuple[int, str], bool | None],
    takes_s: list[int],
    gives: list[str],
    answers: list[str | None] | None,
    cancelled: set[tuple[int, int]],
    rounds: int,
) -> None:
    scene = Scene(
        fleet(count),
        gives,
        answers=answers and [*answers],
        takes=lambda host, secret: takes.get((int(host[2:]), secret), False),
        takes_s=lambda host: takes_s[int(host[2:])],
    )
    loop = asyncio.get_running_loop()
    for _ in range(rounds):
        tasks = [asyncio.create_task(scene.sign_in(one)) for one in scene.connections]
        for number, at_s in cancelled:
            if number < count:
                loop.call_later(at_s + 0.25, tasks[number].cancel)
        await asyncio.wait(tasks)  # a deadlock ends the virtual loop with an error
        for task in tasks:
            assert task.cancelled() or task.exception() is None or isinstance(task.exception(), AuthRejected)
    for secret in (STALE, WRONG, RIGHT):
        rejected = scene.rejections(secret)
        assert len(set(rejected)) == len(rejected), "a host was asked twice"
        if not any(taken for _, tried, taken in scene.tried if tried == secret):
            assert len(rejected) <= TRIES
    assert scene.fetched.count(True) <= 1
    assert len(scene.questions) <= 1


class Queue:
    """A queue of tries, and what a caller knows of it."""

    def __init__(self) -> None:
        self.tries = Tries()
        self.under_way: list[str] = []
        self.waiting: list[Ticket] = []
        self.rejected, self.accepted = 0, False

    def join(self, host: int, *, looks: bool) -> None:
        ticket = Ticket(str(host), looks=looks)
        self.waiting.append(ticket)
        verdict = self.tries.join(ticket)
        if verdict is not None:
            self.take_in(ticket, verdict)

    def leave(self, number: int) -> None:
        if self.waiting:
            self.tries.leave(self.waiting.pop(number % len(self.waiting)))

    def end(self, number: int, *, accepted: bool | None) -> None:
        if not self.under_way:
            return
        host = self.under_way.pop(number % len(self.under_way))
        self.rejected, self.accepted = self.rejected + (accepted is False), self.accepted or accepted is True
        for ticket, verdict in self.tries.ended(host, accepted=accepted):
            self.take_in(ticket, verdict)

    def take_in(self, ticket: Ticket, verdict: Verdict) -> None:
        self.waiting.remove(ticket)
        if verdict is Verdict.TRY and not ticket.looks:
            self.under_way.append(ticket.host)


HAPPENINGS = {
    "join": lambda queue, number: queue.join(number, looks=False),
    "look": lambda queue, number: queue.join(number, looks=True),
    "leave": lambda queue, number: queue.leave(number),
    "accepted": lambda queue, number: queue.end(number, accepted=True),
    "rejected": lambda queue, number: queue.end(number, accepted=False),
    "untold": lambda queue, number: queue.end(number, accepted=None),
}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(HAPPENINGS)), st.integers(0, 5))))
def test_a_queue_holds_nobody_back_and_lets_nobody_pass_who_should_not(events: list[tuple[str, int]]) -> None:
    queue = Queue()
    for what, number in events:
        HAPPENINGS[what](queue, number)
        assert queue.accepted or len(queue.under_way) + queue.rejected <= TRIES
        assert queue.under_way or not queue.waiting, "nobody is left to wait for"
