"""Erase one person among others, and search every byte for them: ``python -m bench.erasure --files
2500``.

A hub with real parts: PostgreSQL and moto's S3, or SQLite and a folder; Redis; the simulated
providers; the erasing process killed at random. Yesterday's database and bucket are restored
after it, and one sweep has to erase again. Then number, name, ids and digests are looked for in the
files of the database (after VACUUM), the bucket, Redis and the logs.
"""
