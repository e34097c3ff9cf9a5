"""Regular expressions whose time grows with the text and with nothing else (RE2)."""

from __future__ import annotations

from typing import Any

import re2

COMPILED_BYTES = 64 << 20  # some thousands of words in one expression


def expression(pattern: str, **different: bool) -> Any:
    """
    Compile a pattern.

    Args:
        different: RE2's own options that are not to be as they are by default.

    Raises:
        re2.error: It is none that RE2 knows.
    """
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = COMPILED_BYTES
    for name, value in different.items():
        setattr(options, name, value)
    return re2.compile(pattern, options=options)
