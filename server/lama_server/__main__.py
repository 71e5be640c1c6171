"""`python -m lama_server` is `lama-server`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
