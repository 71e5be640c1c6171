"""Tiny networks of the architectures that select and find, in the files in which theirs are published."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.models.sam2_video import Sam2VideoConfig, Sam2VideoModel

SAM2_SIDE_PX = 128


def sam2_configuration() -> dict[str, Any]:
    """Of a network for pictures of 128 pixels, 200 times smaller than SAM 2.1 tiny."""
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SAM2_SIDE_PX, SAM2_SIDE_PX],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [8, 4, 4, 4],
        "global_attention_blocks": [3],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "fpn_hidden_size": 32,
    }
    prompts = {"hidden_size": 32, "image_size": SAM2_SIDE_PX, "patch_size": 16}
    decoder = {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 4, "iou_head_hidden_dim": 32}
    return {"vision_config": vision, "prompt_encoder_config": prompts, "mask_decoder_config": decoder}


def write_sam2(folder: Path) -> None:
    """As facebook/sam2.1-hiera-tiny has it: the configuration and the weights of the network for videos."""
    torch.manual_seed(3)
    small = {
        "memory_attention_hidden_size": 32,
        "memory_attention_num_layers": 1,
        "memory_attention_num_attention_heads": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_attention_rope_feat_sizes": [8, 8],
        "memory_encoder_hidden_size": 32,
        "memory_encoder_output_channels": 8,
        "mask_downsampler_embed_dim": 32,
        "memory_fuser_embed_dim": 32,
        "memory_fuser_intermediate_dim": 32,
        "image_size": SAM2_SIDE_PX,
    }
    network = Sam2VideoModel(Sam2VideoConfig(**sam2_configuration(), **small))
    with torch.no_grad():
        for values in network.parameters():
            if values.dim() > 1:  # as they are made, its answers hardly depend on the picture
                values.normal_(0, 1.5 / values[0].numel() ** 0.5)
    transformers.utils.logging.disable_progress_bar()
    network.save_pretrained(folder)


class ColourEncoder(nn.Module):
    """As MobileSAM's: a picture whose longer side is 1024 in, (1, 256, 64, 64) out: mean colours of 4x4 pixels."""

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[:2]
        square = nn.functional.pad(image.permute(2, 0, 1)[None] / 255, (0, 1024 - width, 0, 1024 - height))
        colours = nn.functional.pixel_unshuffle(nn.functional.avg_pool2d(square, 4), 4)
        return nn.functional.pad(colours, (0, 0, 0, 0, 0, 208))


class ColourDecoder(nn.Module):
    """As SAM's with four masks: what has nearly the colours of the points that add, or of the middle of a box."""

    def forward(
        self, embedding: Tensor, places: Tensor, labels: Tensor, before: Tensor, has_before: Tensor, size: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        is_corner = (labels[0] >= 2).float()
        middle = (places[0] * is_corner[:, None]).sum(0, keepdim=True) / 2
        cells = ((torch.cat([places[0], middle]) + 0.5) / 4).clamp(0, 255).long()
        kinds = torch.cat([labels[0], torch.where(is_corner.max() > 0, 1.0, -1.0)[None]])
        colours = nn.functional.avg_pool2d(nn.functional.pixel_shuffle(embedding[:, :48], 4), 3, 1, 1)[0]
        at = colours[:, cells[:, 1], cells[:, 0]]
        off = (colours[:, None] - at[:, :, None, None]).abs().sum(0)
        near = torch.tensor([0.28, 0.28, 0.1, 0.04])[:, None, None, None] - off[None]
        far = torch.full_like(near, -9)
        adds = torch.where(kinds[None, :, None, None] == 1, near, far).amax(1)
        takes = torch.where(kinds[None, :, None, None] == 0, near, far).amax(1)
        logits = torch.minimum(adds, -takes)[None]
        scores = torch.tensor([[0.95, 0.9, 0.8, 0.4]]) + 0 * (before.sum() + has_before.sum() + size.sum())
        return logits * 1, scores, logits


def write_mobile_sam(folder: Path) -> tuple[Path, Path]:
    """(encoder, decoder) with the names, inputs and outputs of those that are published."""
    encoder, decoder = folder / "mobile_sam_image_encoder.onnx", folder / "sam_mask_decoder_multi.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    _export(ColourEncoder(), (torch.zeros(768, 1024, 3),), encoder, {"input_image": [0, 1]}, ["image_embeddings"])
    given = torch.zeros(1, 256, 64, 64), torch.zeros(1, 3, 2), torch.tensor([[1.0, 2.0, 3.0]])
    more = torch.zeros(1, 1, 256, 256), torch.zeros(1), torch.zeros(2)
    inputs = {"image_embeddings": [], "point_coords": [1], "point_labels": [1]}
    inputs |= {"mask_input": [], "has_mask_input": [], "orig_im_size": []}
    outputs = ["masks", "iou_predictions", "low_res_masks"]
    _export(ColourDecoder(), (*given, *more), decoder, inputs, outputs)
    return encoder, decoder


def _export(
    network: nn.Module, given: tuple[Tensor, ...], path: Path, inputs: dict[str, list[int]], outputs: Sequence[str]
) -> None:
    """inputs  name -> axes of any length"""
    axes = {name: {axis: f"{name}_{axis}" for axis in free} for name, free in inputs.items() if free}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this way to export is on its way out, the other needs one more package
        torch.onnx.export(
            network.eval(), given, str(path), dynamo=False, opset_version=17, input_names=list(inputs),
            output_names=list(outputs), dynamic_axes=axes,
        )  # fmt: skip
