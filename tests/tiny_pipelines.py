"""Pipelines of the kinds that people have, made of diffusers' own classes with random weights, a second's work each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

Kind = Literal["sd", "base", "sd2", "sdxl", "paint-by-example", "instruct-pix2pix"]

CLASSES: dict[Kind, str] = {
    "sd": "StableDiffusionInpaintPipeline",
    "base": "StableDiffusionInpaintPipeline",
    "sd2": "StableDiffusionInpaintPipeline",
    "sdxl": "StableDiffusionXLInpaintPipeline",
    "paint-by-example": "PaintByExamplePipeline",
    "instruct-pix2pix": "StableDiffusionInstructPix2PixPipeline",
}
CHANNELS: dict[Kind, int] = {"base": 4, "instruct-pix2pix": 8}
"""Of a U-Net's input, where they are not 9."""

SIDE_PX = 32
"""That the tiny networks say they were trained at."""


def vocabulary(folder: Path) -> Path:
    """Letters, and the two marks at the end of the list, as CLIP has them."""
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


def tokenizer(folder: Path, padding: str = "<|endoftext|>") -> CLIPTokenizer:
    place = vocabulary(folder)
    return CLIPTokenizer(str(place / "vocab.json"), str(place / "merges.txt"), model_max_length=77, pad_token=padding)


def text_config(activation: str = "quick_gelu", width: int = 32) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=190,
        hidden_size=width,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=1,
        max_position_embeddings=77,
        hidden_act=activation,
        projection_dim=32,
        bos_token_id=188,
        eos_token_id=189,
        pad_token_id=1,
    )


def unet(kind: Kind) -> diffusers.UNet2DConditionModel:
    more: dict[str, Any] = {}
    if kind in ("sd2", "sdxl"):
        more = {"use_linear_projection": True, "attention_head_dim": [1, 1]}
    if kind == "sdxl":
        more |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 32 + 6 * 256,
            "transformer_layers_per_block": [1, 2],
        }
    return diffusers.UNet2DConditionModel(
        sample_size=SIDE_PX // 2,
        in_channels=CHANNELS.get(kind, 9),
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=96 if kind == "sdxl" else 32,
        **({"attention_head_dim": 8} | more),
    )


def vae(kind: Kind) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=[32, 32],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        sample_size=SIDE_PX,
        **({"scaling_factor": 0.13025, "force_upcast": True} if kind == "sdxl" else {}),
    )


def scheduler() -> diffusers.PNDMScheduler:
    return diffusers.PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    )


def pipeline(kind: Kind, scratch: Path) -> Any:
    """A whole pipeline; the same weights every time."""
    torch.manual_seed(7)
    parts: dict[str, Any] = {"unet": unet(kind), "vae": vae(kind), "scheduler": scheduler()}
    make = getattr(diffusers, CLASSES[kind])
    unchecked = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    if kind == "paint-by-example":
        from diffusers.pipelines.deprecated.paint_by_example import PaintByExampleImageEncoder

        vision = CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=5,
            num_attention_heads=4,
            image_size=32,
            patch_size=4,
        )
        vision.projection_dim = 32
        eyes = PaintByExampleImageEncoder(vision, proj_size=32)
        size = {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 32}}
        return make(**parts, image_encoder=eyes, **(unchecked | {"feature_extractor": CLIPImageProcessorPil(**size)}))
    if kind == "sdxl":
        return make(
            **parts,
            text_encoder=CLIPTextModel(text_config()),
            text_encoder_2=CLIPTextModelWithProjection(text_config("gelu", 64)),
            tokenizer=tokenizer(scratch),
            tokenizer_2=tokenizer(scratch, "!"),
        )
    open_clip = kind == "sd2"
    words = tokenizer(scratch, "!" if open_clip else "<|endoftext|>")
    encoder = CLIPTextModel(text_config("gelu" if open_clip else "quick_gelu"))
    return make(**parts, text_encoder=encoder, tokenizer=words, **unchecked)


def saved(kind: Kind, folder: Path) -> Path:
    """The folder that `save_pretrained` makes."""
    pipeline(kind, folder.with_name(f"{folder.name}-words")).save_pretrained(folder, safe_serialization=True)
    return folder


# --- the same in one file, under the names of the original Stable Diffusion ------------------------------------------

_RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
)
_UNET = (
    (r"time_embedding\.linear_1\.", r"time_embed.0."),
    (r"time_embedding\.linear_2\.", r"time_embed.2."),
    (r"add_embedding\.linear_1\.", r"label_emb.0.0."),
    (r"add_embedding\.linear_2\.", r"label_emb.0.2."),
    (r"conv_in\.", r"input_blocks.0.0."),
    (r"conv_norm_out\.", r"out.0."),
    (r"conv_out\.", r"out.2."),
    (r"down_blocks\.0\.resnets\.0\.", r"input_blocks.1.0."),
    (r"down_blocks\.0\.downsamplers\.0\.conv\.", r"input_blocks.2.0.op."),
    (r"down_blocks\.1\.resnets\.0\.", r"input_blocks.3.0."),
    (r"down_blocks\.1\.attentions\.0\.", r"input_blocks.3.1."),
    (r"mid_block\.resnets\.0\.", r"middle_block.0."),
    (r"mid_block\.attentions\.0\.", r"middle_block.1."),
    (r"mid_block\.resnets\.1\.", r"middle_block.2."),
    (r"up_blocks\.0\.resnets\.(\d)\.", r"output_blocks.\1.0."),
    (r"up_blocks\.0\.attentions\.(\d)\.", r"output_blocks.\1.1."),
    (r"up_blocks\.0\.upsamplers\.0\.conv\.", r"output_blocks.1.2.conv."),
    (r"up_blocks\.1\.resnets\.0\.", r"output_blocks.2.0."),
    (r"up_blocks\.1\.resnets\.1\.", r"output_blocks.3.0."),
)
"""Of the U-Net with one layer in each of two levels."""
_VAE = (
    (r"(en|de)coder\.mid_block\.resnets\.(\d)\.", lambda m: f"{m[1]}coder.mid.block_{int(m[2]) + 1}."),
    (r"(en|de)coder\.mid_block\.attentions\.0\.", r"\1coder.mid.attn_1."),
    (r"encoder\.down_blocks\.(\d)\.resnets\.(\d)\.", r"encoder.down.\1.block.\2."),
    (r"encoder\.down_blocks\.(\d)\.downsamplers\.0\.", r"encoder.down.\1.downsample."),
    (r"decoder\.up_blocks\.(\d)\.resnets\.(\d)\.", lambda m: f"decoder.up.{1 - int(m[1])}.block.{m[2]}."),
    (r"decoder\.up_blocks\.(\d)\.upsamplers\.0\.", lambda m: f"decoder.up.{1 - int(m[1])}.upsample."),
    (r"conv_norm_out\.", r"norm_out."),
    (r"conv_shortcut\.", r"nin_shortcut."),
    (r"group_norm\.", r"norm."),
    (r"to_q\.", r"q."),
    (r"to_k\.", r"k."),
    (r"to_v\.", r"v."),
    (r"to_out\.0\.", r"proj_out."),
)
_OPEN_CLIP = (
    (r"embeddings\.token_embedding\.weight", r"token_embedding.weight"),
    (r"embeddings\.position_embedding\.weight", r"positional_embedding"),
    (r"final_layer_norm\.", r"ln_final."),
    (r"encoder\.layers\.", r"transformer.resblocks."),
    (r"layer_norm(\d)\.", r"ln_\1."),
    (r"mlp\.fc1\.", r"mlp.c_fc."),
    (r"mlp\.fc2\.", r"mlp.c_proj."),
    (r"self_attn\.out_proj\.", r"attn.out_proj."),
)


def _renamed(key: str, rules: Any) -> str:
    for pattern, name in rules:
        key = re.sub(rf"(?<![a-z_0-9]){pattern}" if pattern[0] != "(" else pattern, name, key)
    return key


def _original_unet(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    made = {}
    for key, value in state.items():
        name = _renamed(key, _UNET)
        if ".resnets." in key:
            for new, old in _RESNET:
                name = name.replace(f".{new}.", f".{old}.")
        made[f"model.diffusion_model.{name}"] = value
    return made


def _original_vae(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        f"first_stage_model.{_renamed(key, _VAE)}": (
            value[..., None, None] if value.ndim == 2 and ".attentions." in key else value
        )
        for key, value in state.items()
    }


def _open_clip(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    made: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        key = key.removeprefix("text_model.")
        if match := re.match(r"encoder\.layers\.(\d)\.self_attn\.q_proj\.(weight|bias)", key):
            whole = [state[next(k for k in state if k.endswith(key.replace("q_proj", part)))] for part in _ATTENTION]
            made[f"transformer.resblocks.{match[1]}.attn.in_proj_{match[2]}"] = torch.cat(whole)
        elif key == "text_projection.weight":
            made["text_projection"] = value.T.contiguous()
        elif not re.search(r"\.[kv]_proj\.", key):
            made[_renamed(key, _OPEN_CLIP)] = value
    return made


_ATTENTION = ("q_proj", "k_proj", "v_proj")


def in_one_file(kind: Kind, path: Path) -> Path:
    """As the checkpoints that people exchange."""
    made = pipeline(kind, path.with_name("words"))
    words = {key.removeprefix("text_model."): value for key, value in made.text_encoder.state_dict().items()}
    clip = {f"text_model.{key}": value for key, value in words.items()}
    prefix = "conditioner.embedders.0.transformer." if kind == "sdxl" else "cond_stage_model.transformer."
    tensors = _original_unet(made.unet.state_dict()) | _original_vae(made.vae.state_dict())
    if kind == "sd2":
        tensors |= {f"cond_stage_model.model.{key}": value for key, value in _open_clip(words).items()}
    else:
        tensors |= {prefix + key: value for key, value in clip.items()}
    if kind == "sdxl":
        second = _open_clip(made.text_encoder_2.state_dict())
        tensors |= {f"conditioner.embedders.1.model.{key}": value for key, value in second.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path)
    return path
