"""Decoding files of strangers: only in a process of its own for each file, with limits.

``decoder`` starts that process and judges how it ended; it runs in a worker. ``child`` is what runs
in the process; it knows neither Django nor any secret. ``picture`` and ``scans`` are used by
``child`` alone.
"""
