"""``python -m mlreg.cli``."""

import sys

from mlreg.cli import main

if __name__ == "__main__":
    sys.exit(main())
