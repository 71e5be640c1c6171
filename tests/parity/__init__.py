"""Proof that our networks compute what the published ones compute: synthetic weights and stored reference outputs."""
