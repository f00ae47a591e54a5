"""Well-formed payloads with faults put into them. Pure: the same ``Random`` makes the same
bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

Json = Any
#: A place in a JSON tree: an object with one of its names, or a list with one of its indexes.
Place = tuple[Any, Any]

# JSON as it must not be, or as no reader expects it; it stands in the body byte for byte.
_RAW = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 5000,
    b"-0",
    b"007",
    b"nothing",
    b'"\xff\xfe"',
    b'"half \xf0\x9f\x93"',
    b'"\xed\xa0\x80"',
    b'"a\x00b\x1b\n"',
    rb'"\u0000"',
    rb'"\ud800"',
    rb'"\x41\q"',
    b"[" * 1200 + b"]" * 1200,
    b'{"type":' * 1200 + b"null" + b"}" * 1200,
    b'"' + b"long " * 10_000 + b'"',
)
# Stands for _RAW[n] while the tree is a tree; and, after a name, for the same name a second time.
_MARK = "@@raw{}@@"
_AGAIN = "@@again@@"

_VALUES: tuple[Json, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 10**30, 1e300),
    *(
        "",
        " ",
        "0",
        "-1",
        "nan",
        "99999999999999",
        "9999-12-31",
        "٣",
        "²",
        "a\x00b",
        "\ud83d",
        "\u202e",
        "😀" * 50,
    ),
    *([], {}, [[]], [None], {"": ""}, {"id": {"id": []}}),
    *(
        "image",
        "text",
        "history",
        "edit",
        "revoke",
        "reaction",
        "unsupported",
        "group",
        "14335551212",
        "wamid.A1",
    ),
    *(_MARK.format(number) for number in range(len(_RAW))),
)
_NAMES = (
    "id",
    "from",
    "to",
    "type",
    "image",
    "edit",
    "system",
    "errors",
    "context",
    "group_id",
    "timestamp",
    "url",
)


# --- JSON ---------------------------------------------------------------------


def mutate_json(random: Random, tree: Json) -> Json:
    """The tree, changed in place, with one to six faults in it; another tree where its root was
    replaced.
    """
    # In a list, so that the root has a place as well.
    root = [tree]
    for _ in range(random.randint(1, 6)):
        parent, key = _place(random, root)
        random.choice(_JSON_FAULTS)(random, root, parent, key)
    return root[0] if root else None


def dump(random: Random, tree: Json) -> bytes:
    """The tree as bytes, with what is not JSON in its places."""
    text = json.dumps(
        tree, ensure_ascii=random.random() < 0.5, indent=random.choice([None, None, 1])
    )
    body = text.encode("utf-8", "surrogatepass").replace(_AGAIN.encode(), b"")
    for number, raw in enumerate(_RAW):
        body = body.replace(f'"{_MARK.format(number)}"'.encode(), raw)
    return body


def parsed(body: bytes) -> Json:
    return json.loads(body)


def value_in(parent: Json, name: str) -> Json:
    """The value of this name; None where there is none, or two of which readers take the last."""
    is_doubled = isinstance(parent, dict) and f"{name}{_AGAIN}" in parent
    return parent.get(name) if isinstance(parent, dict) and not is_doubled else None


def list_in(parent: Json, name: str) -> list[Json] | None:
    value = value_in(parent, name)
    return value if isinstance(value, list) else None


def _place(random: Random, root: Json) -> Place:
    found: list[Place] = []
    left = [root]
    while left:
        part = left.pop()
        inner = list(part.items() if isinstance(part, dict) else enumerate(part))
        found += [(part, key) for key, _ in inner]
        left += [value for _, value in inner if isinstance(value, dict | list)]
    return random.choice(found) if found else ([None], 0)


def _copy(value: Json) -> Json:
    return json.loads(json.dumps(value))


def _replace(random: Random, root: Json, parent: Json, key: Any) -> None:
    parent[key] = _copy(random.choice(_VALUES))


def _drop(random: Random, root: Json, parent: Json, key: Any) -> None:
    del parent[key]


def _double(random: Random, root: Json, parent: Json, key: Any) -> None:
    value = random.choice([parent[key], random.choice(_VALUES)])
    if isinstance(parent, list):
        parent.insert(random.randint(0, len(parent)), _copy(value))
    else:
        parent[f"{key}{_AGAIN}"] = _copy(value)


def _graft(random: Random, root: Json, parent: Json, key: Any) -> None:
    """What stands elsewhere stands here as well."""
    donor, at = _place(random, root)
    parent[key] = _copy(donor[at])


def _wrap(random: Random, root: Json, parent: Json, key: Any) -> None:
    parent[key] = random.choice(
        [[parent[key]], {"value": parent[key]}, str(parent[key])[:500]]
    )


def _shuffle(random: Random, root: Json, parent: Json, key: Any) -> None:
    if isinstance(parent, list):
        random.shuffle(parent)
        return
    items = list(parent.items())
    random.shuffle(items)
    parent.clear()
    parent.update(items)


def _rename(random: Random, root: Json, parent: Json, key: Any) -> None:
    if isinstance(parent, dict):
        parent[random.choice(_NAMES)] = parent.pop(key)


_JSON_FAULTS: tuple[Callable[[Random, Json, Json, Any], None], ...] = (
    *(_replace, _replace, _replace),
    *(_drop, _double, _graft, _wrap, _shuffle, _rename),
)


# --- any bytes ----------------------------------------------------------------


def damage(random: Random, body: bytes) -> bytes:
    """The body as a broken sender or proxy may make it: cut off, turned around, with wrong
    bytes.
    """
    data = bytearray(body)
    start, end = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    match random.randrange(6):
        case 0:
            del data[start:]
        case 1:
            del data[start : min(end, start + 20)]
        case 2:
            data[start:end] = data[start:end][::-1]
        case 3:
            data = data[start:] + data[:start]
        case 4:
            data[start:start] = random.choice(
                [b'"', b"{", b"]", b"\x00", b"\xff", b"&", b"%", b"[" * 100_000]
            )
        case _:
            for _ in range(random.randint(1, 8)):
                if data:
                    data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data)
