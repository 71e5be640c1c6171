"""Tiny networks of the architectures that select and find, in the files in which theirs are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
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
