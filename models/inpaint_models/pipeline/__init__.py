"""From an image and a mask to finished patches: plan, read, run, compose."""
