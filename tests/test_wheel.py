"""The wheel, installed into an empty environment, serves the page."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment outside the checkout that holds the wheel, and borrows from this one only its dependencies.

    A .pth line adds this environment's packages to the path, but not the .pth files among them: the editable install
    of the project itself stays out of reach.
    """
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(place), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = place.glob("*.whl")
    home = place / "environment"
    venv.create(home, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(home / "bin" / "python"),
            "install",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    return home


def test_the_installed_wheel_serves_the_page_and_fills(environment: Path, tmp_path: Path) -> None:
    program, data = environment / "bin" / "lama-server", tmp_path / "data"
    command: list[str | Path] = [program, "--port", "0", "--model", "opencv", "--data-dir", data]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            address = next(
                found.group(0) for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line))
            )
            page = urllib.request.urlopen(address, timeout=120).read().decode()
            script = re.search(r'src="(/static/[^"]+main\.js)"', page)
            assert script is not None
            assert urllib.request.urlopen(address + script.group(1), timeout=120).status == 200
            assert b'"ok"' in urllib.request.urlopen(address + "/healthz", timeout=120).read()
        finally:
            server.terminate()
            server.wait(60)


def test_the_wheel_holds_the_library_the_server_and_the_page(environment: Path) -> None:
    names = ("lama_server", "inpaint_models", "lama_integrations")
    code = f"import sys, {', '.join(names)}; print(*(sys.modules[name].__file__ for name in {names}))"
    run = subprocess.run(
        [environment / "bin" / "python", "-I", "-c", code], capture_output=True, text=True, check=True, cwd=environment
    )
    assert all(line.startswith(str(environment)) for line in run.stdout.split())


def test_a_base_install_brings_nothing_of_what_the_extras_are_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name not in ("dev", "quality")}
    for_extras = {canonicalize_name(Requirement(need).name) for needs in extras.values() for need in needs}
    assert {"diffusers", "transformers", "accelerate"} <= for_extras
    assert not for_extras & needed(project["dependencies"])


def needed(requirements: list[str]) -> set[str]:
    """Names of all packages that these bring along, as far as they are installed here."""
    left, found = [Requirement(text) for text in requirements], set[str]()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        with contextlib.suppress(PackageNotFoundError):  # for another system
            others = [Requirement(text) for text in distribution(name).requires or ()]
            left += [
                other
                for other in others
                if any(
                    not other.marker or other.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
                )
            ]
    return found
