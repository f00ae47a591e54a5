"""Decoding what strangers sent: in a process of its own for each file, with limits, and nowhere
else.

``decoder`` starts that process and judges how it ended; it runs in a worker. ``child`` is what runs
in the process; it knows neither Django nor any secret. ``picture`` and ``scans`` are used by
``child`` alone.
"""
