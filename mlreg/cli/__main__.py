"""``python -m mlreg.cli``."""

import sys

from mlreg.cli import main

sys.exit(main())
