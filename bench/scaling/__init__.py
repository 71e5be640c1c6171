"""How many machines so many users need: measured service times, a simulation checked against a run, and tables."""
