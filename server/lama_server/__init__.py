"""A local web app that removes things from photos."""

__version__ = "0.1.0"
