"""Ways to compute that several networks share."""
