"""The page in other languages: every word is translated, longer words fit, and the choice of a language is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser.driver import App, OpenApp, Server, running_server
from browser.states import answer, ellipse
from inpaint_models.catalog import ENTRIES
from lama_server.errors.base import REGISTRY

ROOT = Path(__file__).resolve().parents[2]

UNTRANSLATED = """() => {
  const own = "script, svg, kbd, noscript, option, .mark, #file-name, #about, #result-facts, " +
    "#models b, #photos .name > :first-child, #save .name, .licence, .facts dd";
  const plain = (text) => /[a-z]{2}/i.test(text.replaceAll(/lama-server|px|KiB|MiB|English|Deutsch|opencv/gi, ""));
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(own);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim();
    if (plain(text) && !text.includes("⟦") && shown(node.parentElement)) found.push(text);
  }
  for (const name of ["aria-label", "placeholder"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const text = element.getAttribute(name);
      if (plain(text) && !text.includes("⟦") && shown(element)) found.push(text);
    }
  }
  return found;
}"""

BY_HAND = """localStorage.setItem("lama-server.prefs", JSON.stringify({ auto: false }))"""

OVERFLOWING = """() => [...document.querySelectorAll("button, label, h1, h2, p, span, output, summary, legend")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest(".unseen, #file, #stage"))
  .filter((each) => {
    const { left, right, width } = each.getBoundingClientRect();
    const clipped = each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 1;
    const seen = width > 1 && getComputedStyle(each).clipPath === "none" && each.closest("[style*=clip]") === null;
    const scrolls = each.closest(".ratios, .rail, .found, .pill .extend");
    return seen && !scrolls && (clipped || left < -1 || right > innerWidth + 1);
  })
  .map((each) => `${each.tagName} ${each.id} ${each.className}: ${each.textContent.trim().slice(0, 60)}`)"""

OVERLAPPING = """() => {
  const bar = [...document.querySelectorAll(".bar button")].filter((each) => each.checkVisibility());
  const boxes = bar.map((each) => each.getBoundingClientRect()).sort((a, b) => a.left - b.left);
  return boxes.slice(1).filter((box, i) => box.left < boxes[i].right - 1).map((box) => `bar: ${Math.round(box.left)}`);
}"""

FITS = (OVERFLOWING, OVERLAPPING)


def walk(app: App, photo: Path, *checks: str) -> dict[str, list[str]]:
    """What is wrong in each state that the page goes through, by the state's name."""
    wrong: dict[str, list[str]] = {}

    def look(state: str) -> None:
        app.settle()
        found = [line for check in checks for line in app.page.evaluate(check)]
        if found:
            wrong[state] = found

    look("empty")
    app.open(photo)
    look("first")
    for command in ("tool-eraser", "tool-extend", "tool-hand", "tool-paint"):
        app.page.click(f".rail [data-command={command}]")
        look(command)
    app.paint([(100.0, 100.0), (160.0, 100.0)])
    look("painted")
    app.page.keyboard.press("Enter")
    app.wait_for_edits(1)
    look("result")
    app.page.keyboard.press("v")
    app.page.locator("#drawer").wait_for()
    look("results")
    app.page.keyboard.press("v")
    app.page.keyboard.press("Control+Shift+s")
    app.page.locator("#save .tile input").nth(1).check()
    look("save")
    app.close_panels()
    thing = ellipse(app, (0.2, 0.2, 0.2, 0.2))
    answer(app, "select", {"type": "selected", "model": "", "ms": 0, "shapes": [thing], "shadow": [thing]})
    app.page.click(".rail [data-command=tool-snap]")
    app.wait("state.tool === 'snap'")
    app.paint([(60.0, 60.0), (90.0, 60.0), (90.0, 90.0)])
    app.page.locator("#told-act").wait_for()
    look("selected")
    sorts = ("text", "dust", "scratch", "wire", "person")
    findings = [
        {"category": sort, "score": 0.8, "shapes": [ellipse(app, (0.1 + 0.15 * place, 0.2, 0.1, 0.1))]}
        for place, sort in enumerate(sorts)
    ]
    answer(app, "find", {"type": "found", "models": [], "ms": 0, "left_out": 0, "findings": findings})
    app.page.click(".rail [data-command=tool-find]")
    app.page.locator(".suggestions button").nth(4).wait_for()
    look("found")
    app.page.click(".rail [data-command=tool-paint]")
    app.page.click("#model")
    app.page.wait_for_selector("#kinds .kind")
    look("models")
    app.page.click("#all-models")
    app.page.locator("#models .choice").first.wait_for()
    look("all models")
    app.page.click("#tune")
    app.page.wait_for_selector("#options-form input")
    look("options")
    app.close_panels()
    app.page.click("#menu-button")
    app.page.wait_for_selector("#settings-form select")
    look("menu")
    app.close_panels()
    app.page.keyboard.press("?")
    app.page.locator("#help").wait_for()
    look("help")
    app.page.keyboard.press("Escape")
    app.page.click("#file")
    app.page.locator("#photos .shot").first.wait_for()
    look("gallery")
    app.page.locator("#photo-search").fill("nothing like it")
    app.page.locator("#photos-none").wait_for()
    look("gallery without a find")
    return wrong


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
def test_every_word_goes_through_translation_and_longer_ones_fit(
    size: tuple[int, int], open_app: OpenApp, server: Server, photos: Path
) -> None:
    width, height = size
    app = open_app(
        f"{server.url}?lang=pseudo",
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        script=BY_HAND,
    )
    assert walk(app, photos / "coffee.jpg", UNTRANSLATED, *FITS) == {}


def test_german_fits_on_a_small_phone(open_app: OpenApp, server: Server, photos: Path) -> None:
    small = {"width": 360, "height": 740}
    app = open_app(server.url, locale="de", viewport=small, reduced_motion="reduce", script=BY_HAND)
    assert walk(app, photos / "coffee.jpg", *FITS) == {}


def test_the_language_is_the_browsers_and_another_can_be_chosen(
    open_app: OpenApp, server: Server, photos: Path
) -> None:
    app = open_app(server.url, locale="de-AT")
    assert app.page.evaluate("document.documentElement.lang") == "de"
    assert "Drübermalen." in app.page.locator("#empty-title").inner_text()
    app.open(photos / "astronaut.png")
    app.paint([(100.0, 100.0), (160.0, 100.0)])
    app.wait_for_edits(1)
    assert re.fullmatch(r"Entfernt in \d+,\d s", app.page.locator("#result-text").inner_text())
    app.settle()
    app.page.click("#menu-button")
    with app.page.expect_navigation():
        app.page.get_by_label("Sprache").select_option("en")
    app.wait("state.image !== null && doc.edits.length === 1")
    app.page.click("#menu-button")
    app.page.get_by_label("Language").wait_for()
    assert app.page.evaluate("document.documentElement.lang") == "en"


def test_an_error_of_the_server_is_told_in_the_language_of_the_page(
    open_app: OpenApp, server: Server, tmp_path: Path, tolerated: list[str]
) -> None:
    tolerated.append("4(15|22)")
    app = open_app(server.url, locale="de")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture")
    app.page.set_input_files("#files", broken)
    note = app.page.locator("#notes .note")
    note.wait_for()
    told = note.inner_text()
    assert "Dieses Dateiformat wird nicht gelesen" in told
    assert "Das Bild als PNG oder JPEG speichern." in told
    assert "Accepted are" not in told


def test_the_page_that_asks_for_the_token_speaks_the_browsers_language(browser: Browser, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", "--model", "opencv", "--token", "a-token-that-is-long-enough") as server:
        page = browser.new_page(locale="de-AT")
        page.goto(server.url)
        page.get_by_text("Dieser Server verlangt sein Token.").wait_for()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Öffnen").click()
        page.get_by_text("Das Token stimmt nicht.").wait_for()
        server.stop()
        page.get_by_role("button", name="Öffnen").click()
        page.get_by_text("Der Server antwortet nicht.").wait_for()
        assert page.evaluate("document.documentElement.lang") == "de"
        page.close()


def table(name: str) -> set[str]:
    """The keys of a table of de-server.js."""
    text = (ROOT / "frontend/js/ui/words/de-server.js").read_text("utf-8")
    entries = text.partition(f"export const {name} = {{")[2].partition("\n};")[0]
    return {quoted or plain for quoted, plain in re.findall(r'^  (?:"([^"]+)"|(\w+)):', entries, re.MULTILINE)}


def test_every_code_of_the_server_has_a_sentence_in_every_language() -> None:
    assert table("SENTENCES") == set(REGISTRY)
    assert {key.partition("/")[0] for key in table("DETAILS") if "/" not in key} == set(REGISTRY)
    assert all(error.title for error in REGISTRY.values())


def test_every_parameter_of_a_model_has_a_name_in_every_language() -> None:
    parameters = {parameter.name for entry in ENTRIES if entry.task == "fill" for parameter in entry.parameters}
    assert table("PARAMETERS") == {name.replace("_", " ").capitalize() for name in parameters}


def test_what_the_page_shows_of_a_model_is_there_in_every_language() -> None:
    fill = [entry for entry in ENTRIES if entry.task == "fill"]
    shown = {text for entry in fill for text in (entry.tagline, entry.description)}
    shown |= {parameter.help for entry in fill for parameter in entry.parameters}
    texts = table("TEXTS")
    assert shown - texts == set(), "say it in German too, in frontend/js/ui/words/de-server.js"
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "server").rglob("*.py"))
    assert [text for text in texts - shown if f'"{text}"' not in sources] == []
