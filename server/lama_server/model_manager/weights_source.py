"""The library's weights, as the server asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inpaint_models import weights
from inpaint_models.registry import ModelEntry

from ..settings import Settings
from .manager import DownloadReport

if TYPE_CHECKING:
    from inpaint_models.weights import Network, TransferProgress


class LibraryWeights:
    """`WeightsSource` over `inpaint_models.weights`."""

    def __init__(self, settings: Settings, network: Network | None = None) -> None:
        self._model_dir, self._network = settings.resolved_model_dir(), network
        self._offline = settings.local_files_only

    def find(self, entry: ModelEntry) -> Mapping[str, Path] | None:
        files = weights.locate(entry, self._model_dir)
        return None if files.status == "missing" else files.require_ready(offline=self._offline)

    def download(self, entry: ModelEntry, report: DownloadReport, cancelled: Callable[[], bool]) -> Mapping[str, Path]:
        def listen(progress: TransferProgress) -> None:
            # Hashing counts from 0 again, and is too quick to be worth a second bar.
            if progress.stage != "verifying":
                report(progress.done_bytes, progress.total_bytes)

        files = weights.download(entry, self._model_dir, progress=listen, cancelled=cancelled, network=self._network)
        return files.paths
