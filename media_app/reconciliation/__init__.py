"""Rows and objects compared, and brought together again.

``walk`` pairs the two lists; ``comparison`` says what a pair means; ``reconciling`` looks again at
what is not right, because the hub works meanwhile; ``shares`` chooses what is read. ``repairs`` and
``adoption`` change something, as ``treatment`` was asked to.
"""
