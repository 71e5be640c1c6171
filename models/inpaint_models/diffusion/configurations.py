"""What diffusers has to be told about the networks in a single file, found in the shapes of their tensors.

Such files hold tensors only, under the names of the original Stable Diffusion (https://github.com/CompVis/stable-diffusion,
https://github.com/Stability-AI/generative-models). diffusers would fetch the rest; here it is derived, so that a file
works without a connection.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from ..registry import TensorShapes
from .families import FAMILIES
from .recognise import UNET, Recognised

_VAE = "first_stage_model."
_CLIP = "cond_stage_model.transformer.text_model."
_OPEN_CLIP = "cond_stage_model.model."
_CLIP_XL = "conditioner.embedders.0.transformer.text_model."
_OPEN_CLIP_XL = "conditioner.embedders.1.model."
_CLIP_HEAD = 64
"""Channels of an attention head in all text encoders, and in the U-Nets since version 2."""

Configuration = dict[str, object]

_SCHEDULER: Configuration = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "skip_prk_steps": True,
    "steps_offset": 1,
}


def write_configurations(shapes: TensorShapes, found: Recognised, vocabulary: Path, folder: Path) -> None:
    """Lays a folder out as `save_pretrained` does, without weights.

    vocabulary  folder with vocab.json and merges.txt
    """
    parts: dict[str, tuple[str, str]] = {
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        "scheduler": ("diffusers", "PNDMScheduler"),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "tokenizer": ("transformers", "CLIPTokenizer"),
    }
    vae = _vae(shapes, found)
    levels = vae["block_out_channels"]
    assert isinstance(levels, list)
    written: dict[str, Configuration] = {
        "unet": _unet(shapes, found.side_px // 2 ** (len(levels) - 1)),
        "vae": vae,
        "scheduler": _SCHEDULER,
        "text_encoder": _text_encoder(shapes),
    }
    if found.family == "sdxl":
        parts |= {
            "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
            "tokenizer_2": ("transformers", "CLIPTokenizer"),
        }
        written["text_encoder_2"] = _open_clip(shapes, _OPEN_CLIP_XL)
    for part, configuration in written.items():
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        _write(folder / part / name, configuration)
    for part in parts:
        if part.startswith("tokenizer"):
            open_clip = part == "tokenizer_2" or f"{_OPEN_CLIP}token_embedding.weight" in shapes
            _write_tokenizer(folder / part, vocabulary, "!" if open_clip else "<|endoftext|>")
    index: Configuration = {"_class_name": FAMILIES[found.family].pipeline, "_diffusers_version": "0.40.0"}
    _write(folder / "model_index.json", index | {part: list(source) for part, source in parts.items()})


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _write_tokenizer(folder: Path, vocabulary: Path, padding: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(vocabulary / name, folder / name)
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    configuration = {**special, "pad_token": padding, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    _write(folder / "tokenizer_config.json", configuration)


def _unet(shapes: TensorShapes, sample_size: int) -> Configuration:
    """Levels end where a block only halves the size."""
    ends = [
        i for i in range(1, _number(shapes, f"{UNET}input_blocks.")) if f"{UNET}input_blocks.{i}.0.op.weight" in shapes
    ]
    layers = ends[0] - 1
    firsts = [1 + level * (layers + 1) for level in range(len(ends) + 1)]
    channels = [shapes[f"{UNET}input_blocks.{first}.0.in_layers.2.weight"][0] for first in firsts]
    depths = [_number(shapes, f"{UNET}input_blocks.{first}.1.transformer_blocks.") for first in firsts]
    middle = f"{UNET}middle_block.1."
    is_linear = len(shapes[f"{middle}proj_in.weight"]) == 2
    attends = [depth > 0 for depth in depths]
    made: Configuration = {
        "_class_name": "UNet2DConditionModel",
        "sample_size": sample_size,
        "in_channels": shapes[f"{UNET}input_blocks.0.0.weight"][1],
        "out_channels": shapes[f"{UNET}out.2.weight"][0],
        "block_out_channels": channels,
        "layers_per_block": layers,
        "down_block_types": ["CrossAttnDownBlock2D" if attend else "DownBlock2D" for attend in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)],
        "cross_attention_dim": shapes[f"{middle}transformer_blocks.0.attn2.to_k.weight"][1],
        "use_linear_projection": is_linear,
        "attention_head_dim": [width // _CLIP_HEAD or 1 for width in channels] if is_linear else 8,
        "transformer_layers_per_block": [max(1, depth) for depth in depths],
    }
    if (pooled := shapes.get(f"{UNET}label_emb.0.0.weight")) is not None:
        made |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": pooled[1],
        }
    return made


def _vae(shapes: TensorShapes, found: Recognised) -> Configuration:
    levels = _number(shapes, f"{_VAE}encoder.down.")
    is_xl = found.family == "sdxl"
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": shapes[f"{_VAE}post_quant_conv.weight"][0],
        "block_out_channels": [shapes[f"{_VAE}encoder.down.{i}.block.0.conv1.weight"][0] for i in range(levels)],
        "layers_per_block": _number(shapes, f"{_VAE}encoder.down.0.block."),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "sample_size": found.side_px,
        "scaling_factor": 0.13025 if is_xl else 0.18215,
        "force_upcast": is_xl,
    }


def _text_encoder(shapes: TensorShapes) -> Configuration:
    prefix = next(
        (prefix for prefix in (_CLIP, _CLIP_XL) if f"{prefix}embeddings.token_embedding.weight" in shapes), ""
    )
    if not prefix:
        return _open_clip(shapes, _OPEN_CLIP)
    words, width = shapes[f"{prefix}embeddings.token_embedding.weight"]
    inner = shapes[f"{prefix}encoder.layers.0.mlp.fc1.weight"][0]
    layers = _number(shapes, f"{prefix}encoder.layers.")
    return _clip(words, width, inner, layers, "quick_gelu")


def _open_clip(shapes: TensorShapes, prefix: str) -> Configuration:
    """Version 2 leaves out the last layer, which diffusers does not read."""
    words, width = shapes[f"{prefix}token_embedding.weight"]
    inner = shapes[f"{prefix}transformer.resblocks.0.mlp.c_fc.weight"][0]
    layers = _number(shapes, f"{prefix}transformer.resblocks.")
    projected = shapes.get(f"{prefix}text_projection", (width, width))[1]
    return _clip(words, width, inner, min(layers, 23) if prefix == _OPEN_CLIP else layers, "gelu", projected)


def _clip(words: int, width: int, inner: int, layers: int, activation: str, projected: int = 768) -> Configuration:
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // _CLIP_HEAD),
        "hidden_act": activation,
        "projection_dim": projected,
        "max_position_embeddings": 77,
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
        "pad_token_id": 1,
    }


def _number(shapes: TensorShapes, prefix: str) -> int:
    """How many there are of what is counted after the prefix, from 0."""
    numbers = {match[1] for key in shapes if (match := re.match(rf"{re.escape(prefix)}(\d+)\.", key))}
    return next(number for number in count() if str(number) not in numbers)
