"""Latent diffusion inpainting (Rombach et al., CVPR 2022), configuration inpainting_big."""
