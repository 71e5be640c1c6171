"""The folders in which weights are looked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

MODEL_DIR_VARIABLE = "LAMA_SERVER_MODEL_DIR"


def default_model_dir(environment: Mapping[str, str] | None = None) -> Path:
    """Where downloads go: $LAMA_SERVER_MODEL_DIR, or `lama-server/models` in the platform's cache folder."""
    env = os.environ if environment is None else environment
    if chosen := env.get(MODEL_DIR_VARIABLE):
        return Path(chosen).expanduser()
    return _cache_dir(env) / "lama-server" / "models"


def torch_hub_dirs(environment: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where torch.hub, and with it IOPaint and lama-cleaner, keeps what it downloaded."""
    env = os.environ if environment is None else environment
    homes = [Path(env[name]).expanduser() / tail for name, tail in _TORCH_HOMES if env.get(name)]
    homes.append(Path.home() / ".cache" / "torch")
    return tuple(dict.fromkeys(home / "hub" / "checkpoints" for home in homes))


def hub_cache_dirs(environment: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where huggingface_hub keeps what other programs downloaded with it."""
    env = os.environ if environment is None else environment
    dirs = [Path(env[name]).expanduser() for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") if env.get(name)]
    dirs += [Path(env[name]).expanduser() / tail for name, tail in _HUB_HOMES if env.get(name)]
    dirs.append(Path.home() / ".cache" / "huggingface" / "hub")
    return tuple(dict.fromkeys(dirs))


def in_hub_cache(source: str, cache: Path) -> tuple[Path, ...]:
    """Copies of a Hugging Face file in a huggingface_hub cache, any revision."""
    address = hub_address(source)
    if address is None:
        return ()
    repository, _, file = address
    snapshots = cache / f"models--{repository.replace('/', '--')}" / "snapshots"
    return tuple(sorted(snapshots.glob(f"*/{file}"))) if snapshots.is_dir() else ()


def hub_address(source: str) -> tuple[str, str, str] | None:
    """(owner/name, revision, file) of a Hugging Face address; None for any other.

    Understands hf://owner/name@revision/file and https://huggingface.co/owner/name/resolve/revision/file.
    """
    url = urlsplit(source)
    if url.scheme == "hf":
        owner, name, file = (url.netloc, *url.path.lstrip("/").split("/", 1))
        name, _, revision = name.partition("@")
        return f"{owner}/{name}", revision or "main", file
    parts = url.path.strip("/").split("/")
    if url.hostname in ("huggingface.co", "hf.co") and len(parts) >= 5 and parts[2] == "resolve":
        return f"{parts[0]}/{parts[1]}", parts[3], "/".join(parts[4:])
    return None


_TORCH_HOMES = (("TORCH_HOME", ""), ("XDG_CACHE_HOME", "torch"))
_HUB_HOMES = (("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub"))


def _cache_dir(env: Mapping[str, str]) -> Path:
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"]).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32" and env.get("LOCALAPPDATA"):
        return Path(env["LOCALAPPDATA"])
    return Path.home() / ".cache"
