"""The page, state by state and look by look: fit for a screen reader, large enough for a finger, inside the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.access import FINGER_PX, OUTSIDE, SMALL, violations
from browser.driver import OpenApp, Server, running_server
from browser.states import LOOKS, make_folder, states


@pytest.fixture(scope="module")
def folder_server(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("states")
    folder = make_folder(root / "photos", sorted(photos.glob("c*.jpg")))
    with running_server(root / "data", "--model", "opencv", "--input", str(folder)) as server:
        yield server


@pytest.mark.parametrize("look", LOOKS)
def test_every_state_is_accessible_in_reach_and_inside_the_window(
    folder_server: Server, open_app: OpenApp, photos: Path, look: str, tolerated: list[str]
) -> None:
    tolerated.append("507|415|422")  # the state that shows an error, and the broken file in the gallery
    app = open_app(folder_server.url, **LOOKS[look])
    touch = LOOKS[look].get("has_touch", False)
    found: list[str] = []
    for state in states(app, photos / "coffee.jpg"):
        small = app.page.evaluate(SMALL, FINGER_PX) if touch else []
        found += [f"{state}: {wrong}" for wrong in (*violations(app.page), *small, *app.page.evaluate(OUTSIDE))]
    assert not found, "\n".join(found)
