"""The page, state by state and look by look: fit for a screen reader, large enough for a finger, inside the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from browser.driver import ROOT, App, OpenApp
from browser.states import LOOKS, states

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
  .concat(document.documentElement.scrollWidth > innerWidth ? ["the page itself is too wide"] : [])"""
"""What reaches over the window's sides."""


def violations(app: App) -> list[str]:
    """What axe-core finds; run through the debugger, because the page's policy lets no foreign script in."""
    if not app.page.evaluate("() => 'axe' in window"):
        app.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = app.page.evaluate("rules => axe.run(document, rules)", RULES)
    return [f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in found["violations"]]


@pytest.mark.parametrize("look", LOOKS)
def test_every_state_is_accessible_in_reach_and_inside_the_window(
    open_app: OpenApp, photos: Path, look: str, tolerated: list[str]
) -> None:
    tolerated.append("507")  # the state that shows an error
    app = open_app(**LOOKS[look])
    touch = LOOKS[look].get("has_touch", False)
    found: list[str] = []
    for state in states(app, photos / "coffee.jpg"):
        small = app.page.evaluate(SMALL, FINGER_PX) if touch else []
        found += [f"{state}: {wrong}" for wrong in (*violations(app), *small, *app.page.evaluate(OUTSIDE))]
    assert not found, "\n".join(found)
