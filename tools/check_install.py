"""Builds source archive and wheel, installs the wheel as users do, and fills a picture with what is installed.

    python -m tools.check_install pip:python3.11 pip:python3.14 uv pipx

Everything happens in a temporary folder: `uv tool` and `pipx` get homes of their own there. Dependencies are the newest
ones that fit, because users have no constraints.txt.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIDE_PX = 64


def main() -> None:
    """Exits with an error at the first installation that does not work."""
    parser = argparse.ArgumentParser(prog="check_install", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("ways", nargs="+", metavar="pip:PYTHON|uv|pipx", help="How to install.")
    ways = parser.parse_args().ways
    with tempfile.TemporaryDirectory(prefix="lama-server-") as place:
        folder = Path(place)
        run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)])
        (wheel,) = folder.glob("*.whl")
        for number, way in enumerate(ways):
            home = folder / str(number)
            home.mkdir()
            check(installed(way, wheel, home), home)
            shutil.rmtree(home)
            sys.stdout.write(f"{way}: works\n")
            sys.stdout.flush()


def installed(way: str, wheel: Path, home: Path) -> Path:
    """Where the commands are after the wheel was installed in that way."""
    tool, _, python = way.partition(":")
    bin_dir = home / "bin"
    if tool == "pip":
        run([python, "-m", "venv", str(home)])
        run([str(bin_dir / "python"), "-m", "pip", "install", "--quiet", str(wheel)])
    elif tool == "uv":
        run(["uv", "tool", "install", "--quiet", str(wheel)], UV_TOOL_DIR=str(home), UV_TOOL_BIN_DIR=str(bin_dir))
    elif tool == "pipx":
        run(["pipx", "install", "--quiet", str(wheel)], PIPX_HOME=str(home), PIPX_BIN_DIR=str(bin_dir))
    else:
        raise SystemExit(f"There is no way {way!r}. There are: pip:PYTHON, uv, pipx.")
    return bin_dir


def check(bin_dir: Path, folder: Path) -> None:
    """Fills a black square in a white picture, outside the checkout."""
    sys.path.insert(0, str(ROOT / "integrations"))
    from lama_integrations.lama_client import Pixels, encode_png

    square = bytes(255 * (24 <= x < 40 and 24 <= y < 40) for y in range(SIDE_PX) for x in range(SIDE_PX))
    for name, samples in (("photo.png", bytes(255 - value for value in square)), ("mask.png", square)):
        (folder / name).write_bytes(encode_png(Pixels(SIDE_PX, SIDE_PX, 1, 8, samples)))
    program = str(bin_dir / "lama-server")
    own = {"LAMA_SERVER_MODEL_DIR": str(folder / "models")}
    for arguments in (
        ["--version"],
        ["models"],
        ["inpaint", "photo.png", "mask.png", "-o", "out.png", "--model", "opencv"],
    ):
        run([program, *arguments], cwd=folder, **own)
    if not (folder / "out.png").read_bytes().startswith(b"\x89PNG"):
        raise SystemExit(f"{program} wrote no picture.")


def run(command: list[str], cwd: Path | None = None, **variables: str) -> None:
    """Ends with the command's own words when it fails."""
    environment: Mapping[str, str] = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env={**environment, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
