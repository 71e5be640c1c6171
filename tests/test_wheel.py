"""The wheel, installed into an empty environment, serves the page."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from pathlib import Path

import pytest

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
            page = urllib.request.urlopen(address, timeout=20).read().decode()
            script = re.search(r'src="(/static/[^"]+main\.js)"', page)
            assert script is not None
            assert urllib.request.urlopen(address + script.group(1), timeout=20).status == 200
            assert b'"ok"' in urllib.request.urlopen(address + "/healthz", timeout=20).read()
        finally:
            server.terminate()
            server.wait(20)


def test_the_wheel_holds_the_library_the_server_and_the_page(environment: Path) -> None:
    names = ("lama_server", "inpaint_models", "lama_integrations")
    code = f"import sys, {', '.join(names)}; print(*(sys.modules[name].__file__ for name in {names}))"
    run = subprocess.run(
        [environment / "bin" / "python", "-c", code], capture_output=True, text=True, check=True, cwd=environment
    )
    assert all(line.startswith(str(environment)) for line in run.stdout.split())
