"""A sign of life while work goes on."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["waiting"]

EVERY = 1.0
"""Seconds between two states of the line."""


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on stderr, where that is a terminal, what is going on and for how many seconds.

    The line comes after a second and goes when the work is done.
    """
    if not sys.stderr.isatty():
        yield
        return
    over, start, width = threading.Event(), time.monotonic(), 0

    def tick() -> None:
        nonlocal width
        while not over.wait(EVERY):
            line = f"mlreg: {what}, {time.monotonic() - start:.0f} s"
            width = len(line)
            sys.stderr.write("\r" + line)
            sys.stderr.flush()

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()
        if width:
            sys.stderr.write("\r" + " " * width + "\r")
            sys.stderr.flush()
