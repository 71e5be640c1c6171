"""Planar guidance: where a picture clearly shows a plane at an angle, it is matched as seen from the front."""
