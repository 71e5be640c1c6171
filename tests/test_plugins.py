"""Models from other packages: found by their entry points, refused by name, and never in the way of the others."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inpaint_models import catalog
from inpaint_models.errors import Unavailable
from inpaint_models.registry import LoadContext, ModelEntry

SOURCE = """
from inpaint_models.registry import Licence, ModelEntry

def entry(name, *aliases):
    return ModelEntry(
        name=name, aliases=aliases, title=name.title(), tagline="a", description="b",
        licence=Licence("MIT", "https://example.org"), loader="{module}:load",
    )

ONE = entry("acme-one")

def several():
    return [entry("acme-two"), entry("acme-three", "third")]

def taken():
    return [entry("lama"), entry("acme-four", "cv2"), entry("acme-five")]

def nonsense():
    return ["a name"]

def explodes():
    raise RuntimeError("/home/somebody/secret")

class Engine:
    def fill(self, image, hole, *, params, seed, progress):
        return image * 0

def load(context):
    return Engine()
"""

Install = Callable[..., tuple[ModelEntry, ...]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with a dist-info on the path; answers what the catalogue finds then."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(package: str = "acme-models", **points: str) -> tuple[ModelEntry, ...]:
        module = package.replace("-", "_")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        lines = [f"{name} = {value.replace('MODULE', module)}" for name, value in points.items()]
        text = "\n".join([f"[{catalog.GROUP}]", *lines, ""])
        (info / "entry_points.txt").write_text(text, encoding="utf-8")
        (tmp_path / f"{module}.py").write_text(SOURCE.replace("{module}", module), encoding="utf-8")
        catalog.entries_of_others.cache_clear()
        return catalog.list_models()[len(catalog.ENTRIES) :]

    yield installed
    catalog.entries_of_others.cache_clear()


def names(entries: tuple[ModelEntry, ...]) -> list[str]:
    return [entry.name for entry in entries]


def test_an_entry_and_a_function_that_returns_some_are_both_understood(install: Install) -> None:
    assert names(install(one="MODULE:ONE", more="MODULE:several")) == ["acme-two", "acme-three", "acme-one"]


def test_a_model_of_another_package_is_listed_found_and_loaded(install: Install) -> None:
    install(one="MODULE:several")
    entry = catalog.get_model("third")
    assert entry in catalog.list_models("fill")
    assert hasattr(entry.load(LoadContext(entry=entry)), "fill")


def test_names_that_are_taken_are_left_out_and_told(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert names(install(all="MODULE:taken")) == ["acme-five"]
    assert "acme-models: the model lama is left out, lama is taken." in caplog.text
    assert "acme-four is left out, cv2 is taken." in caplog.text


def test_of_two_packages_the_first_in_the_alphabet_keeps_a_name(install: Install) -> None:
    install("zeta-models", one="MODULE:ONE")
    found = install("beta-models", one="MODULE:ONE")
    assert [entry.loader for entry in found] == ["beta_models:load"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("MODULE:explodes", "RuntimeError"),
        ("MODULE:nonsense", "TypeError"),
        ("MODULE:missing", "AttributeError"),
        ("no_such_module:ENTRY", "No module named 'no_such_module'"),
    ],
)
def test_a_broken_package_is_listed_with_a_reason_and_the_others_work(
    install: Install, caplog: pytest.LogCaptureFixture, value: str, said: str
) -> None:
    with caplog.at_level(logging.WARNING):
        broken, good = install(bad=value, good="MODULE:ONE")
    assert good.name == "acme-one"
    assert broken.name == "bad"
    assert broken.hindrance == f"The models of the package acme-models cannot be read ({said}). Update or remove it."
    assert "acme-models: its models cannot be used" in caplog.text
    with pytest.raises(Unavailable, match="acme-models"):
        broken.load(LoadContext(entry=broken))


def test_what_went_wrong_is_for_the_log_alone(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    (broken,) = install(bad="MODULE:explodes")
    assert "secret" in caplog.text
    assert "secret" not in broken.hindrance


def test_a_process_of_its_own_finds_an_installed_package(install: Install, tmp_path: Path) -> None:
    install(one="MODULE:ONE")
    code = "from inpaint_models import list_models; print([entry.name for entry in list_models()])"
    library = Path(catalog.__file__).parent.parent
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{library}:{tmp_path}"},
    )
    assert "acme-one" in run.stdout
