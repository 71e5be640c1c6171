"""Engines that fill holes in pictures: numpy in, numpy out."""
