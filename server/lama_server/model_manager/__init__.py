"""Which models there are, what state they are in, and the downloads that change it."""
