"""Loading: a model is warmed up by one small, cheap fill, as its entry says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from fake_engines import entry
from inpaint_models import Inpainter, load_model
from inpaint_models.catalog import list_models
from inpaint_models.errors import Cancelled
from inpaint_models.loading import WARM_UP_SIDE_PX, warm_up
from inpaint_models.registry import ModelEntry
from inpaint_models.types import FloatImage, HoleMask, ParamValue, Progress


class Recorder:
    """An engine that keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], dict[str, ParamValue]]] = []

    def fill(
        self,
        image: FloatImage,
        hole: HoleMask,
        *,
        params: Mapping[str, ParamValue],
        seed: int,
        progress: Progress,
    ) -> FloatImage:
        progress("filling", 0, 1)
        self.asked.append((hole.shape, dict(params)))
        return image


def test_a_model_is_warmed_up_with_the_parameters_of_its_entry() -> None:
    engine = Recorder()
    warm_up(Inpainter(replace(entry("a"), warm_up={"seconds": 0.5}), engine))
    assert engine.asked == [((WARM_UP_SIDE_PX, WARM_UP_SIDE_PX), {"behaviour": "paint", "seconds": 0.5})]


@pytest.mark.parametrize("name", ["grabcut", "lasso", "wand"])
def test_what_selects_without_weights_is_warmed_up_by_a_selection(name: str) -> None:
    told: list[str] = []
    warm_up(load_model(name, task="select"), lambda stage, *_: told.append(stage))
    assert told


def test_a_warm_up_stops_when_the_model_is_no_longer_wanted() -> None:
    def unwanted(stage: str, step: int, total: int, preview: object = None) -> None:
        raise Cancelled

    engine = Recorder()
    with pytest.raises(Cancelled):
        warm_up(Inpainter(entry("a"), engine), unwanted)
    assert engine.asked == []


@pytest.mark.parametrize("model", list_models(), ids=lambda model: model.name)
def test_every_model_can_be_warmed_up_with_what_its_entry_says(model: ModelEntry) -> None:
    checked = model.check_params(model.warm_up)
    assert all(checked[name] == value for name, value in model.warm_up.items())
