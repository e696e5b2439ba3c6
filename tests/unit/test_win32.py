"""Windows' error numbers in words."""

import pytest

from orchestrator.domain.win32 import in_words

NAMED = (2, 5, 1051, 1052, 1053, 1055, 1056, 1058, 1060, 1061, 1062, 1066, 1067, 1068, 1069, 1070, 1072, 1077)


@pytest.mark.parametrize("code", NAMED)
def test_every_number_that_services_give_has_words_and_keeps_its_number(code: int) -> None:
    words = in_words(code)
    assert words.endswith(f"(error {code})")
    assert len(words) > len(f"(error {code})") + 10


def test_an_unknown_number_is_not_guessed_at() -> None:
    assert in_words(4711) == "Windows error 4711"
