"""The files that are served, and how many ask for each at once."""

from __future__ import annotations

MB = 1000 * 1000
SIZES = {"200 KB": 200 * 1000, "16 MB": 16 * MB, "1 GB": 1000 * MB}
CLIENTS = {"200 KB": (1, 50, 1000), "16 MB": (1, 50), "1 GB": (1,)}
