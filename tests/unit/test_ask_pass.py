"""`--ask-pass` is said to change nothing where it would, and is advised only where it helps."""

import pytest
from virtual_time import in_virtual_time

from orchestrator.adapters.credentials import SharedCredentials
from orchestrator.domain.connection import Auth, Connection
from orchestrator.domain.errors import AuthRejected, BadInput
from orchestrator.domain.secrets import ASKED, Secret, SecretRef, embed
from orchestrator.interfaces.loading import check_needed

TYPED = Secret(embed(ASKED))
OWN = Secret(embed(SecretRef("env", "ORCH_PASSWORD")))


def way(secret: Secret | None) -> Connection:
    return Connection(host="db-01", address="db-01", port=5986, user="svc", password=secret, auth=Auth.NTLM)


@pytest.mark.parametrize("secrets", [(), (TYPED,), (OWN, TYPED), (OWN, None)], ids=["none", "all", "mixed", "open"])
def test_a_question_that_somebody_needs_is_fine(secrets: tuple[Secret | None, ...]) -> None:
    check_needed(map(way, secrets))


@pytest.mark.parametrize(
    ("secrets", "named"),
    [((OWN, OWN), r"({env:ORCH_PASSWORD})"), ((Secret("x"), OWN), "(a password in the inventory and 1 more)")],
    ids=["one", "several"],
)
def test_a_question_that_nobody_needs_is_bad_input(secrets: tuple[Secret, ...], named: str) -> None:
    with pytest.raises(BadInput, match="--ask-pass changes nothing") as caught:
        check_needed(map(way, secrets))
    assert named in str(caught.value)
    assert "take ansible_password out" in caught.value.hint


@pytest.mark.parametrize(
    ("secret", "hint"),
    [
        (OWN, "correct ansible_user or ansible_password ({env:ORCH_PASSWORD}); then run it again"),
        (TYPED, "correct ansible_user, or type the right password; then run it again"),
    ],
    ids=["own", "typed"],
)
@in_virtual_time
async def test_a_wrong_password_is_mended_where_it_comes_from(secret: Secret, hint: str) -> None:
    async def fetch(text: str, *, anew: bool) -> str:
        return "wr0ng"

    gate = SharedCredentials(fetch, [way(secret)])
    (await gate.sign_in(way(secret))).end(accepted=False)
    with pytest.raises(AuthRejected) as caught:
        await gate.sign_in(way(secret))
    assert caught.value.hint == hint
    await gate.aclose()
