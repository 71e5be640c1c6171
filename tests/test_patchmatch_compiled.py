"""The compiled code and its cache on disk: where it cannot be kept, when two processes make it, and without numba."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inpaint_models.machine import compiled

MODELS = Path(__file__).parent.parent / "models"

KERNEL = """
import numpy as np
from inpaint_models.machine.compiled import kernel

@kernel("void(int64[::1])")
def add_one(values):
    for index in range(values.size):
        values[index] += 1

def run():
    values = np.arange(3)
    add_one(values)
    assert values.tolist() == [1, 2, 3]
"""


def python(code: str, *, path: Path = MODELS, **environment: str) -> subprocess.Popen[str]:
    """A fresh interpreter that finds its modules in `path`."""
    return subprocess.Popen(
        [sys.executable, "-B", "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(MODELS)]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A folder with a module that has one small kernel, so that compiling takes a second and not ten."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "one_kernel.py").write_text(KERNEL)
    return folder


def cached(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nbc"))


def run_kernel(module: Path, **environment: str) -> subprocess.Popen[str]:
    """In an interpreter with a cache folder of its own, beside the module."""
    own = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(module.parent / "cache"), **environment}
    return python("import logging; logging.basicConfig(); import one_kernel; one_kernel.run()", path=module, **own)


def test_compiled_code_is_kept_in_the_applications_cache_folder(module: Path, tmp_path: Path) -> None:
    finished(run_kernel(module))
    assert len(cached(tmp_path)) == len(cached(tmp_path / "cache" / "lama-server" / "compiled")) == 1


def test_another_place_for_compiled_code_can_be_named(module: Path, tmp_path: Path) -> None:
    finished(run_kernel(module, NUMBA_CACHE_DIR=str(tmp_path / "named")))
    assert len(cached(tmp_path)) == len(cached(tmp_path / "named")) == 1


def test_kernels_of_others_in_the_process_stay_where_they_are(module: Path) -> None:
    finished(python("import one_kernel, numba; one_kernel.run(); assert not numba.config.CACHE_DIR", path=module))


# A file where a folder is wanted stops root as well, which permissions would not.


def test_where_no_cache_folder_can_be_made_it_is_kept_next_to_the_package(module: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    finished(run_kernel(module))
    assert len(cached(tmp_path)) == len(cached(module)) == 1


def test_without_any_folder_to_write_to_the_kernel_still_runs(module: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    (module / "__pycache__").write_text("in the way")
    process = run_kernel(module, HOME=str(tmp_path / "cache"))
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "Cannot keep compiled code of add_one on disk" in error


def test_a_damaged_cache_is_passed_over(module: Path, tmp_path: Path) -> None:
    finished(run_kernel(module))
    for file in tmp_path.rglob("*.nb?"):
        file.write_bytes(file.read_bytes()[:40])
    finished(run_kernel(module))


def test_processes_that_fill_the_same_empty_cache_agree(module: Path, tmp_path: Path) -> None:
    for process in [run_kernel(module) for _ in range(3)]:
        finished(process)
    assert len(cached(tmp_path)) == 1
    finished(run_kernel(module))


def test_without_numba_the_error_says_what_to_do(tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "numba.py").write_text("raise ImportError('No module named numba')\n")
    code = (
        "from inpaint_models.registry import LoadContext\n"
        "from inpaint_models import get_model\n"
        "from inpaint_models.errors import Unavailable\n"
        "from inpaint_models.patchmatch.engine import load\n"
        "try:\n"
        "    load(LoadContext(entry=get_model('patchmatch')))\n"
        "except Unavailable as error:\n"
        "    import sys; sys.stdout.write(str(error))\n"
    )
    message = finished(python(code, path=shadow))
    assert "needs numba" in message
    assert "pip install numba" in message


def test_the_catalogue_does_not_import_numba() -> None:
    finished(python("import sys, inpaint_models.catalog; assert 'numba' not in sys.modules"))


def test_each_kernel_exists_for_one_signature_only() -> None:
    # One signature per kernel is what makes a cache that several processes write to safe: they write the same file.
    importlib.import_module("inpaint_models.patchmatch.engine")
    assert len(compiled.kernels()) >= 8
    for kernel in compiled.kernels():
        machine_code = kernel.prepare()
        assert len(machine_code.signatures) == 1  # type: ignore[attr-defined]
        assert machine_code.stats.cache_path  # type: ignore[attr-defined]
