"""The program: errors and interruptions as exit statuses."""

import os
import sys
import warnings
from collections.abc import Sequence

from mlreg.cli.arguments import parser
from mlreg.errors import MlregError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is returned.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if not (sys.argv[1:] if argv is None else argv):
                print(parser().format_help(), end="", file=sys.stderr)
                return 2
            arguments = parser().parse_args(argv)
            status: int = arguments.run(arguments)
            sys.stdout.flush()
        for text in dict.fromkeys(_one_line(warning.message) for warning in caught):
            print(f"mlreg: warning: {text}", file=sys.stderr)
        return status
    except BrokenPipeError:  # who read stdout has had enough, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (MlregError, OSError) as error:
        message = _one_line(error)
        for argument, flag in (("missing", "--missing"), ("rank_deficient", "--rank-deficient")):
            message = message.replace(f"{argument}='drop'", f"{flag} drop")
        print(f"mlreg: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mlreg: interrupted", file=sys.stderr)
        return 130


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
