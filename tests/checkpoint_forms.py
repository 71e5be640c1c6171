"""Writes the forms in which people hold weights, with whatever tensors a test gives."""

from __future__ import annotations

import collections
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def tensors_of(arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    """Arrays that may be read-only, as of `parity.weights.state_dict`, as tensors."""
    return {key: torch.from_numpy(np.require(value, requirements="W")) for key, value in arrays.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with a prefix before each key."""
    return {prefix + key: tensor for key, tensor in tensors.items()}


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return path


def write_pth(path: Path, tensors: Mapping[str, Any], *, legacy: bool = False) -> Path:
    """What torch.save writes; `legacy` = before torch 1.6."""
    torch.save(collections.OrderedDict(tensors), path, _use_new_zipfile_serialization=not legacy)
    return path


def write_torchscript(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """A scripted module whose state dict has exactly these keys."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(_Holder(tensors)), str(path))
    return path


def write_lightning(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """A training checkpoint as PyTorch Lightning 1.2 wrote it: callbacks, optimiser, OmegaConf settings.

    Names classes of packages that are not installed here, as the published file does.
    """
    modules = _ForeignModules()
    settings = modules.omegaconf_dict({"lr": 0.001})
    content = {
        "epoch": 39,
        "global_step": 1_000_000,
        "pytorch-lightning_version": "1.2.9",
        "callbacks": {modules.model_checkpoint: {"best_model_score": torch.tensor(0.1), "dirpath": "runs"}},
        "optimizer_states": [{"state": {0: {"step": 7, "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.001}]}],
        "lr_schedulers": [],
        "state_dict": collections.OrderedDict(tensors),
        "hparams_name": "config",
        "hparams_type": modules.dict_config,
        "hyper_parameters": settings,
    }
    with modules:
        torch.save(content, path)
    return path


class _Holder(nn.Module):
    """A tree of modules that holds each tensor where its dotted key says."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for key, tensor in tensors.items():
            *parts, name = key.split(".")
            holder: nn.Module = self
            for part in parts:
                if part not in holder._modules:
                    holder.add_module(part, _Holder({}))
                holder = holder._modules[part]  # type: ignore[assignment]
            holder.register_buffer(name, tensor)

    def forward(self, image: Tensor) -> Tensor:
        return image


class _ForeignModules:
    """Pretends for the time of writing that two foreign packages are importable."""

    def __init__(self) -> None:
        self.model_checkpoint = self._class("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
        self.dict_config = self._class("omegaconf.dictconfig", "DictConfig")
        self.metadata = self._class("omegaconf.base", "ContainerMetadata")
        self.any_node = self._class("omegaconf.nodes", "AnyNode")

    @staticmethod
    def _class(module: str, name: str) -> type:
        return type(name, (), {"__module__": module})

    def omegaconf_dict(self, values: Mapping[str, Any]) -> Any:
        """As OmegaConf pickles itself: objects whose state names typing.Any, dict and a defaultdict."""
        config, metadata = self.dict_config(), self.metadata()
        metadata.__dict__.update(
            ref_type=Any, object_type=dict, resolver_cache=collections.defaultdict(dict, {"now": {"a": 1}})
        )
        config.__dict__.update(_metadata=metadata, _parent=None, _content={})
        for key, value in values.items():
            node = self.any_node()
            node.__dict__.update(_metadata=None, _parent=config, _val=value)
            config._content[key] = node
        return config

    def __enter__(self) -> None:
        import sys
        import types

        self.added = []
        for cls in (self.model_checkpoint, self.dict_config, self.metadata, self.any_node):
            parts = cls.__module__.split(".")
            for depth in range(1, len(parts) + 1):
                name = ".".join(parts[:depth])
                if name not in sys.modules:
                    sys.modules[name] = types.ModuleType(name)
                    self.added.append(name)
            setattr(sys.modules[cls.__module__], cls.__name__, cls)

    def __exit__(self, *_: object) -> None:
        import sys

        for name in self.added:
            del sys.modules[name]
