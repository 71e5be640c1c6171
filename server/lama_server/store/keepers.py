"""Who keeps images and edits: this machine's folder alone, or an object store that several servers share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from urllib.parse import urlsplit

from ..settings import Limits, Settings
from .image_store import ImageStore, StoredEdit, StoredImage


class Keeper(Protocol):
    """What stands behind the folder of `ImageStore`. Every method may raise `StoreUnavailable` and `StoreFull`."""

    async def fetch_image(self, image_id: str) -> None:
        """Brings an image into the folder, if it is kept and not there. Raises `ImageNotFound` for what is no id."""

    async def fetch_edits(self, edit_ids: Iterable[str]) -> None:
        """As `fetch_image`, with the images and parents of the edits. Raises `EditNotFound` for what is no id."""

    async def keep_image(self, image: StoredImage) -> None:
        """Keeps an image that is in the folder. It may be kept already."""

    async def keep_edit(self, edit: StoredEdit) -> None:
        """Keeps an edit that is in the folder; others see all of it or nothing. What cannot be kept is removed."""

    def check(self) -> None:
        """Raises when nothing could be fetched now. Takes the time of a network."""


class FolderKeeper:
    """The folder is all there is."""

    async def fetch_image(self, image_id: str) -> None:
        pass

    async def fetch_edits(self, edit_ids: Iterable[str]) -> None:
        pass

    async def keep_image(self, image: StoredImage) -> None:
        pass

    async def keep_edit(self, edit: StoredEdit) -> None:
        pass

    def check(self) -> None:
        pass


def keeper_for(settings: Settings, limits: Limits, store: ImageStore) -> Keeper:
    """That of --store, which `check_address` has found to be good."""
    if settings.store is None:
        return FolderKeeper()
    from .objects import ObjectKeeper  # imported late: its library is an extra, and loads in tens of milliseconds

    return ObjectKeeper(settings.store, store, limits)


def check_address(address: str) -> None:
    """Raises `ValueError` unless it is s3://BUCKET or s3://BUCKET/PREFIX, and `ImportError` without the library."""
    parts = urlsplit(address)
    if parts.username is not None:
        raise ValueError("It holds a key, which others would see. Give keys in AWS_ACCESS_KEY_ID and its companions.")
    if parts.scheme != "s3" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{address} is not of the form s3://BUCKET/PREFIX.")
    import obstore  # noqa: F401
