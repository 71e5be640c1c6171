"""What connects other programs to a lama-server: one call for all of them, and a server of tools for agents."""
