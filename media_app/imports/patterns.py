"""What the path of a file says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from unicodedata import normalize

from media_app.imports.items import UnreadableError

_PART = re.compile(r"\{([^{}]*)\}|(\*\*)|(\*)")
_NAME = re.compile(r"[a-z][a-z_]*")
_TIME = (
    "(?P<timestamp>[0-9]{13}(?![0-9])|[0-9]{9,10}(?![0-9])"
    "|[12][0-9]{3}[-:._]?[01][0-9][-:._]?[0-3][0-9]"
    "(?:(?:[T_ -]| at )?[0-2][0-9][-:.]?[0-5][0-9][-:.]?[0-5][0-9])?)"
)


class Pattern:
    """``{owner}/{timestamp}-{persona}.*``: each name stands for a part of the path without ``/``,
    ``*`` for any such part, and ``**`` for any part. The whole path has to match.
    """

    def __init__(self, text: str) -> None:
        """Raises UnreadableError."""
        expression, at, seen = "", 0, set()
        for match in _PART.finditer(text):
            expression += re.escape(normalize("NFC", text[at : match.start()]))
            at = match.end()
            name, everything, _ = match.groups()
            if name is None:
                expression += ".*" if everything else "[^/]*"
                continue
            if not _NAME.fullmatch(name) or name in seen:
                raise UnreadableError(
                    f"{{{name}}} is not a name, or stands there twice."
                )
            seen.add(name)
            named = f"(?P<{name}>[^/]+?)"
            expression += _TIME if name == "timestamp" else named
        expression += re.escape(normalize("NFC", text[at:]))
        self._expression = re.compile(expression, re.DOTALL)

    def values(self, path: str) -> Mapping[str, str] | None:
        """What each name stands for; None where the path does not match."""
        match = self._expression.fullmatch(normalize("NFC", path))
        return match.groupdict() if match else None
