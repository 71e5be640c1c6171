"""Pixels of a document: layers, masks and pictures."""
