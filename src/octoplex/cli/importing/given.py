"""The foreign file: read without executing anything, and which of its keys were used.

`Given` is a cursor on one table. Whoever asks for a key takes it; what nobody took, or what
was not of the kind that was asked for, is in `unread` and becomes a note.

A parser's own message may quote the line it stumbled over, and that line may hold a key: of
what is wrong only the place is told.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from octoplex.wire.error import BadConfig

MOST_BYTES = 1 << 20
MOST = Decimal(10**12)
"""Beyond it a number is a slip of the pen."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Given:
    """One table of the foreign file. `path` is where it stands, such as `model_list[0]`."""

    def __init__(
        self, tree: Mapping[Any, Any], path: str = "", twice: Collection[str] = ()
    ) -> None:
        """`twice` are keys of the file that stand twice in one table: the last one counts."""
        self.path, self.twice = path, twice
        self._tree = {_name(key): value for key, value in tree.items()}
        self._read: set[str] = set()
        self._inner: dict[str, list[Given]] = {}
        self._odd: dict[str, None] = {}
        """Entries of lists of tables that are none."""

    def __contains__(self, key: str) -> bool:
        return self._tree.get(key) is not None

    def at(self, key: str) -> str:
        """Where a key stands."""
        return f"{self.path}.{key}" if self.path else key

    def names(self) -> list[str]:
        """Every key."""
        return list(self._tree)

    def skip(self) -> None:
        """Take every key: a note on the table speaks for all of it."""
        self._read.update(self._tree)
        for inner in self._inner.values():
            for one in inner:
                one.skip()

    def text(self, key: str) -> str:
        """A text, or a number or date as one; "" where there is none."""
        value = self._tree.get(key)
        if not isinstance(value, str | int | float | Decimal | date) or isinstance(value, bool):
            return ""
        if isinstance(value, int) and abs(value) > MOST:
            return ""
        self._read.add(key)
        return clean_text(str(value).strip())

    def number(self, key: str) -> Decimal | None:
        """A number from 0 to 10^12, also where it is written as a text."""
        value = self._tree.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            return None
        try:
            number = Decimal(value) if isinstance(value, int) else Decimal(str(value).strip())
        except (InvalidOperation, ValueError):
            return None
        if not number.is_finite() or not 0 <= number <= MOST:
            return None
        self._read.add(key)
        return number

    def flag(self, key: str) -> bool:
        """Whether it is true."""
        value = self._tree.get(key)
        if isinstance(value, bool):
            self._read.add(key)
        return value is True

    def any(self, key: str) -> Any:
        """Whatever it is; None where there is nothing."""
        self._read.add(key)
        return self._tree.get(key)

    def table(self, key: str) -> "Given":
        """A table; an empty one where there is none."""
        value = self._tree.get(key)
        if not isinstance(value, Mapping):
            return Given({}, self.at(key))
        return self._into(key, [(value, self.at(key))])[0]

    def named(self, key: str) -> list[tuple[str, "Given"]]:
        """A table of tables, in its order."""
        inner = self.table(key)
        tables = [n for n in inner.names() if n and isinstance(inner._tree[n], Mapping)]
        return [(name, inner.table(name)) for name in tables]

    def tables(self, key: str) -> list["Given"]:
        """A list of tables; what else stands in it is told of as unread."""
        value = self._tree.get(key)
        if not isinstance(value, list) or not any(isinstance(v, Mapping) for v in value):
            return []
        each = [(v, f"{self.at(key)}[{i}]") for i, v in enumerate(value)]
        self._odd |= dict.fromkeys(at for v, at in each if not isinstance(v, Mapping | None))
        return self._into(key, [(v, at) for v, at in each if isinstance(v, Mapping)])

    def texts(self, key: str) -> list[str]:
        """A list of texts, or one text."""
        value = self._tree.get(key)
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            return []
        self._read.add(key)
        return [clean_text(v.strip()) for v in values]

    def unread(self) -> Iterator[str]:
        """Where everything stands that nobody has read and that says something."""
        yield from self._odd
        for key, value in self._tree.items():
            for inner in self._inner.get(key, ()):
                yield from inner.unread()
            if key not in self._read and value is not None and value != {} and value != []:
                yield self.at(key)

    def _into(self, key: str, trees: list[tuple[Mapping[Any, Any], str]]) -> list["Given"]:
        self._read.add(key)
        if key not in self._inner:
            self._inner[key] = [Given(tree, path) for tree, path in trees]
        return self._inner[key]


def _name(key: object) -> str:
    """A key as a text; an integer of YAML's may have more digits than Python writes."""
    return clean_text(str(key) if not isinstance(key, int) or abs(key) <= MOST else hex(key))


def clean_text(text: str) -> str:
    """Half a character (YAML's and JSON's \\ud800) can stand in no file."""
    return _SURROGATE.sub("\ufffd", text)


def read(content: bytes, form: str, name: str) -> Given:
    """Read a file in one of the forms "yaml", "json" and "toml"; `name` stands in errors.

    Raises:
        BadConfig: one sentence that quotes nothing of the file.
    """
    if len(content) > MOST_BYTES:
        raise BadConfig(f"{name}: is larger than {MOST_BYTES} bytes, which no configuration is.")
    twice: dict[str, None] = {}
    try:
        tree = {"yaml": _yaml, "json": _json, "toml": _toml}[form](content, twice)
    except RecursionError:
        raise BadConfig(f"{name}: is nested too deeply.") from None
    except UnicodeDecodeError as error:
        raise BadConfig(f"{name}: is not UTF-8 (byte {error.start}).") from None
    except _Wrong as error:
        raise BadConfig(f"{name}: is not valid {form.upper()}{error}.") from None
    if not isinstance(tree, Mapping):
        raise BadConfig(f"{name}: is no {form.upper()} table with named entries.")
    return Given(tree, twice=twice)


class _Wrong(Exception):
    """It is not what it should be; the text says where."""


def _doubled(names: Iterable[str]) -> dict[str, None]:
    return {name: None for name, count in Counter(names).items() if count > 1}


def _yaml(content: bytes, twice: dict[str, None]) -> Any:
    try:
        import yaml  # type: ignore[import-untyped]  # an extra
    except ImportError:
        raise BadConfig(
            "Reading YAML needs the pyyaml package: pip install 'octoplex[import]'."
        ) from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            twice.update(_doubled(keys))
            return super().construct_mapping(node, deep)

    text = content.decode("utf-8-sig")
    try:
        return Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise _Wrong(where) from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError):
        raise _Wrong("") from None


def _json(content: bytes, twice: dict[str, None]) -> Any:
    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.update(_doubled(name for name, _ in pairs))
        return dict(pairs)

    text = content.decode("utf-8-sig")
    try:  # a price must not be rounded
        return json.loads(text, parse_float=Decimal, object_pairs_hook=table)
    except json.JSONDecodeError as error:
        raise _Wrong(f" (line {error.lineno}, column {error.colno})") from None
    except (ValueError, ArithmeticError):  # a number of too many digits
        raise _Wrong("") from None


def _toml(content: bytes, _: dict[str, None]) -> Any:
    try:
        return tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at .*\)", str(error))
        raise _Wrong(f" {at[0]}" if at else "") from None
