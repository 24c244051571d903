"""A table as TOML: what the standard library reads, but does not write."""

import json
import re
from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, object]) -> str:
    """Return a table with nested ones as TOML.

    Parameters
    ----------
    table
        Strings, numbers, booleans, lists of these, and tables.
    """
    return "\n".join(_lines(table, ())) + "\n"


def _lines(table: Mapping[str, object], name: tuple[str, ...]) -> list[str]:
    lines = []
    nested = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in table.items() if key not in nested}
    if name and (plain or not nested):
        lines += ["", f"[{'.'.join(_key(part) for part in name)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in nested.items():
        lines += _lines(value, (*name, key))
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _value(value: object) -> str:
    match value:
        case bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(_value(item) for item in value)}]"
        case Mapping():
            inner = ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items())
            return f"{{{inner}}}"
    raise TypeError(f"TOML has no {type(value).__name__}")
