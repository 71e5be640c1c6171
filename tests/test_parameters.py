"""Parameters of kind text and picture, with a small model that takes both; the other kinds are in test_registry.py."""

from __future__ import annotations

import numpy as np
import pytest

from fake_engines import WORDED as ENTRY
from fake_engines import Worded
from inpaint_models import FillOptions, Inpainter
from inpaint_models.errors import InvalidParameter, ParameterRange, ParameterType, UnknownParameter
from inpaint_models.types import ParamValue

PROMPT, EXAMPLE = ENTRY.parameters
PICTURE = np.full((4, 5, 3), 200, np.uint8)


def filled(**params: ParamValue) -> list[int]:
    """The colour in the middle of a hole."""
    image, mask = np.full((16, 16, 3), 90, np.uint8), np.zeros((16, 16), bool)
    mask[6:10, 6:10] = True
    out = Inpainter(ENTRY, Worded())(image, mask, FillOptions(params=params))
    return [int(value) for value in out[8, 8]]


def test_words_reach_the_engine() -> None:
    assert filled(prompt="red") == [255, 0, 0]


def test_a_picture_reaches_the_engine_as_an_array() -> None:
    assert filled(example=PICTURE) == [200, 200, 200]


def test_what_is_not_given_has_its_default_and_a_picture_is_left_out() -> None:
    assert ENTRY.check_params({}) == {"prompt": ""}
    assert filled() == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("prompt", "x" * 21, ParameterRange, "21 characters; at most 20"),
        ("prompt", "a\x00b", ParameterType, "control characters"),
        ("prompt", 7, ParameterType, "must be a text"),
        ("prompt", None, ParameterType, "must be a text"),
        ("example", "photo.png", ParameterType, "must be a picture"),
        ("example", None, ParameterType, "must be a picture"),
        ("example", np.zeros((71, 100, 3), np.uint8), ParameterRange, "7,100 pixels; at most 7,000"),
        ("example", np.zeros((4, 4, 3), np.float32), ParameterType, "type float32"),
        ("example", np.zeros((4, 4), np.uint8), ParameterType, r"shape \(4, 4\)"),
        ("example", np.zeros((0, 4, 3), np.uint8), ParameterType, "shape"),
        ("examples", PICTURE, UnknownParameter, "It has: prompt, example"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    name: str, value: object, error: type[InvalidParameter], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        ENTRY.check_params({name: value})
    assert raised.value.name == name


def test_lines_and_every_script_are_plain_text() -> None:
    assert PROMPT.checked("ein\nrotes\tАвто 赤い車") == "ein\nrotes\tАвто 赤い車"


def test_a_command_line_gives_words_as_they_are_and_a_picture_by_its_path() -> None:
    opened: list[str] = []

    def open_picture(path: str) -> np.ndarray:
        opened.append(path)
        return PICTURE

    values = ENTRY.params_from_text({"prompt": "true", "example": "a=b.png"}, open_picture)
    assert values["prompt"] == "true"
    assert values["example"] is PICTURE
    assert opened == ["a=b.png"]


def test_a_path_says_nothing_to_those_who_open_no_files() -> None:
    with pytest.raises(ParameterType, match="must be a picture"):
        ENTRY.params_from_text({"example": "a.png"})


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_come_at_both_depths_with_and_without_alpha(depth: type[np.generic], channels: int) -> None:
    picture = np.zeros((2, 3, channels), depth)
    assert EXAMPLE.checked(picture) is picture
