"""JPEG: markers, pixels with proof that no scan was cut, and edits that leave the rest of the file as it is."""

from .markers import Scan, icc_of, parse, scans

__all__ = ["Scan", "icc_of", "parse", "scans"]
