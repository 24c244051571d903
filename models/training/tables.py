"""From a table of a TOML file to a frozen dataclass; all that does not fit is named at once."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fontanelle.errors import Code, Refused

T = TypeVar("T")


def from_table(wanted: type[T], table: Mapping[str, object], where: str = "") -> T:
    """Build a dataclass from a table whose keys are its fields.

    Parameters
    ----------
    wanted
        A dataclass of numbers, words, tuples of them, mappings, and such dataclasses.
    table
        As `tomllib` reads it; arrays become tuples.
    where
        Name of the table, for the sentence.

    Raises
    ------
    Refused
        TRAINING_CONFIG, with every key that is unknown, missing or of another type.
    """
    wrong: list[str] = []
    built = _built(wanted, table, where, wrong)
    if wrong:
        raise Refused(Code.TRAINING_CONFIG, f"The configuration {'; '.join(wrong)}.")
    return built  # type: ignore[no-any-return]


def _built(wanted: type[Any], table: Mapping[str, object], where: str, wrong: list[str]) -> Any:  # noqa: ANN401 (any dataclass)
    known: dict[str, Field[Any]] = {field.name: field for field in fields(wanted)}
    hints = get_type_hints(wanted)
    values = {}
    for key, value in table.items():
        if key in known:
            values[key] = _value(hints[key], value, _path(where, key), wrong)
        else:
            wrong.append(f"has the unknown key {_path(where, key)}")
    missing = [key for key, field in known.items() if key not in table and _is_needed(field)]
    wrong += [f"lacks {_path(where, key)}" for key in missing]
    return None if wrong else wanted(**values)


def _value(hint: Any, value: object, path: str, wrong: list[str]) -> object:  # noqa: ANN401
    origin = get_origin(hint)
    if origin in (types.UnionType, Union):
        return _value(next(one for one in get_args(hint) if one is not type(None)), value, path,
                      wrong)  # fmt: skip
    if origin is tuple:
        return _tuple(get_args(hint), value, path, wrong)
    if hasattr(hint, "__dataclass_fields__") and isinstance(value, Mapping):
        return _built(hint, value, path, wrong)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # A Boolean is an integer to Python, and to nobody else.
    plain = origin or hint
    if not isinstance(value, plain) or (hint is int and isinstance(value, bool)):
        name = getattr(plain, "__name__", str(plain))
        wrong.append(f"has {path} = {value!r} where a {name} belongs")
    return value


def _tuple(
    kinds: tuple[Any, ...], value: object, path: str, wrong: list[str]
) -> tuple[object, ...]:
    is_open = len(kinds) == 2 and kinds[1] is Ellipsis
    if not isinstance(value, list) or (not is_open and len(value) != len(kinds)):
        many = "several values belong" if is_open else f"{len(kinds)} values belong"
        wrong.append(f"has {path} = {value!r} where {many}")
        return ()
    hints = kinds[:1] * len(value) if is_open else kinds
    return tuple(
        _value(hint, one, f"{path}[{index}]", wrong)
        for index, (hint, one) in enumerate(zip(hints, value, strict=True))
    )


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
