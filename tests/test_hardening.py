"""The table of bad inputs is complete: each is held by a test, or there is a reason."""

from __future__ import annotations

from tools import hardening


def test_every_bad_input_has_a_test_or_a_reason_and_not_both() -> None:
    known, tests, reasons = set(hardening.inputs()), set(hardening.held()), set(hardening.left_out())
    assert known == {f"B{number}" for number in range(1, 123)}
    assert tests - known == set(), "a test names an id that the table does not have"
    assert tests & reasons == set()
    assert known - tests - reasons == set()


def test_the_page_names_the_tests() -> None:
    text = hardening.page("")
    for tests in hardening.held().values():
        assert all(test in text for test in tests)
