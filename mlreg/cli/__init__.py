"""The command line: ``mlreg fit``, ``certify``, ``evaluate``, ``predict``, ``compare``, ``report``.

Results go to stdout, everything else to stderr. Misuse is one line and exit
status 2; an estimate that is not the MLE is exit status 1.
"""

from mlreg.cli.program import main

__all__ = ["main"]
