"""What every page and state must be: fit for a screen reader, large enough for a finger, inside the window."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from browser.driver import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
    "reporter": "no-passes",  # which alone is looked at; to describe and send what passed takes most of the time
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


def violations(page: Page) -> list[str]:
    """What axe-core finds; run through the debugger, because the page's policy lets no foreign script in."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, rules)", RULES)
    return [f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in found["violations"]]
