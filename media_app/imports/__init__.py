"""Files of other systems: read from where they are, and stored.

Each reader (``json_lines``, ``csv_lines``, ``folder``, ``addresses``) is an iterator that yields an
``Item`` for each file and a ``BrokenLine`` for what can't be read; ``importing`` stores an item.
"""
