"""Folders on a person's machine: this application's cache, and where other programs keep weights."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_cache_path

_TORCH_HOMES = (("TORCH_HOME", ""), ("XDG_CACHE_HOME", "torch"))
_HUB_HOMES = (
    ("HF_HUB_CACHE", ""),
    ("HUGGINGFACE_HUB_CACHE", ""),
    ("HF_HOME", "hub"),
    ("XDG_CACHE_HOME", "huggingface/hub"),
)


def default_cache_dir() -> Path:
    """The application's folder below the platform's per-user cache folder."""
    return user_cache_path("lama-server", appauthor=False, opinion=False)


def default_model_dir() -> Path:
    """Where downloads go: $LAMA_SERVER_MODEL_DIR, or `models` in the cache folder."""
    chosen = os.environ.get("LAMA_SERVER_MODEL_DIR")
    return Path(chosen).expanduser() if chosen else default_cache_dir() / "models"


def torch_hub_dirs() -> tuple[Path, ...]:
    """Where torch.hub, and with it IOPaint and lama-cleaner, keeps what it downloaded."""
    homes = [*_named(_TORCH_HOMES), Path.home() / ".cache" / "torch"]
    return tuple(dict.fromkeys(home / "hub" / "checkpoints" for home in homes))


def hub_cache_dirs() -> tuple[Path, ...]:
    """Where huggingface_hub keeps what other programs downloaded with it."""
    return tuple(dict.fromkeys([*_named(_HUB_HOMES), Path.home() / ".cache" / "huggingface" / "hub"]))


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


def _named(variables: tuple[tuple[str, str], ...]) -> list[Path]:
    """The folders that environment variables name, each with what lies below it."""
    return [Path(os.environ[name]).expanduser() / tail for name, tail in variables if os.environ.get(name)]
