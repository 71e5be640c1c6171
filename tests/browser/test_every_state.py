"""The page, state by state and look by look: fit for a screen reader, large enough for a finger, inside the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.driver import ROOT, App, OpenApp, Server, running_server
from browser.states import LOOKS, make_folder, states

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
FINGER_PX = 44
SMALL = """(least) => [...document.querySelectorAll("button, input, select, summary, a[href], [role=slider]")]
  .filter(each => each.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter(each => !each.closest(".unseen, .skip"))
  .map(each => [each, (each.closest("label") ?? each.closest(".field") ?? each).getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < least - 0.5 || box.height < least - 0.5))
  .map(([each, box]) => `${each.outerHTML.slice(0, 80)}: ${box.width} x ${box.height}`)"""
"""What can be pressed and is too small for a finger; a label counts with its control."""
OUTSIDE = """() => [...document.querySelectorAll("button, input, select, p, h1, h2, b")]
  .filter(each => each.checkVisibility({ visibilityProperty: true }) && !each.closest(".unseen, .skip"))
  .map(each => [each, each.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.left < -1 || box.right > innerWidth + 1))
  .map(([each, box]) => `${each.outerHTML.slice(0, 80)}: ${box.left} to ${box.right}`)
  .concat(document.documentElement.scrollWidth > innerWidth ? ["the page itself is too wide"] : [])
  .concat([...document.querySelectorAll("[popover]:popover-open, dialog[open], .drawer:not([hidden])")]
    .filter(each => each.getBoundingClientRect().bottom > innerHeight + 1 || each.getBoundingClientRect().top < -1)
    .map(each => `#${each.id} is higher than the window`))"""
"""What reaches over the window's sides, and panels whose end cannot be scrolled to."""


def violations(app: App) -> list[str]:
    """What axe-core finds; run through the debugger, because the page's policy lets no foreign script in."""
    if not app.page.evaluate("() => 'axe' in window"):
        app.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = app.page.evaluate("rules => axe.run(document, rules)", RULES)
    return [f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in found["violations"]]


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
        found += [f"{state}: {wrong}" for wrong in (*violations(app), *small, *app.page.evaluate(OUTSIDE))]
    assert not found, "\n".join(found)
