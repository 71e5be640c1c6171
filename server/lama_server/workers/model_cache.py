"""What an engine worker keeps in memory: loaded models, and images and views that models which select have encoded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from inpaint_models import devices
from inpaint_models.loading import Runner
from inpaint_models.protocols import Encoded

from .messages import EngineChoice

MOST_ENCODINGS = 16
"""An encoding may be small and yet keep a photo's file open."""

Key = tuple[str, str, str]


class ModelCache:
    """Models and encodings, least recently used first; together within the budget, unless one model is larger.

    Encodings make room before models do: they are made anew in less time.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._models: OrderedDict[Key, Runner] = OrderedDict()
        self._encodings: OrderedDict[tuple[Key, str], Encoded] = OrderedDict()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(key[0] for key in self._models)

    def find(self, choice: EngineChoice) -> Runner | None:
        """The model if it is loaded, which counts as a use of it."""
        key = _key(choice)
        if key in self._models:
            self._models.move_to_end(key)
        return self._models.get(key)

    def add(self, choice: EngineChoice, load: Callable[[EngineChoice], Runner]) -> Runner:
        """Loads the model; others make room before. Raises what `load` raises."""
        self._make_room(choice.entry.memory_bytes)
        model = self._models[_key(choice)] = load(choice)
        return model

    def encoded(self, choice: EngineChoice, image_name: str, encode: Callable[[], Encoded]) -> Encoded:
        """What a loaded model keeps of the image or view of that name, encoded if it is not there."""
        key = (_key(choice), image_name)
        if key not in self._encodings:
            self._encodings[key] = encode()
        self._encodings.move_to_end(key)
        while len(self._encodings) > 1 and (self._is_over(0) or len(self._encodings) > MOST_ENCODINGS):
            self._encodings.popitem(last=False)
        return self._encodings[key]

    def discard(self, choice: EngineChoice) -> None:
        """Forgets the model, if it is there."""
        self._forget(_key(choice))

    def drop_others(self, choice: EngineChoice) -> bool:
        """Forgets every other model and every encoding; whether there was one."""
        others = [key for key in self._models if key != _key(choice)]
        dropped = bool(others or self._encodings)
        self._encodings.clear()
        for key in others:
            self._forget(key)
        return dropped

    def _forget(self, key: Key) -> None:
        self._models.pop(key, None)
        for encoding in [encoding for encoding in self._encodings if encoding[0] == key]:
            del self._encodings[encoding]

    def _make_room(self, needed_bytes: int) -> None:
        while self._is_over(needed_bytes) and (self._encodings or self._models):
            if self._encodings:
                self._encodings.popitem(last=False)
            else:
                self._forget(next(iter(self._models)))
            devices.release_memory()

    def _is_over(self, needed_bytes: int) -> bool:
        models = sum(model.entry.memory_bytes for model in self._models.values())
        encodings = sum(encoded.size_bytes for encoded in self._encodings.values())
        return needed_bytes + models + encodings > self._budget_bytes


def _key(choice: EngineChoice) -> Key:
    return choice.entry.name, choice.device, choice.precision
