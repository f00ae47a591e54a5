"""Erasing one person: all that they sent, and all that names them.

``requests`` has the durable request and its certificate, ``person`` says what belongs to a person,
``flow`` is the order of the steps, and each step has a module. ``withheld`` keeps what was erased
from being read again, ``records`` keeps the requests in the storage, for restored backups.
"""
