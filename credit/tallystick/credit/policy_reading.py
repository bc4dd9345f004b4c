"""Reading a policy: a TOML text with a name and a list of rules, each a table of the keys that its kind has.

What is wrong is told by its place in the text. Screening and warnings read theirs by it.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from tallystick.credit.decisions import PolicyError
from tallystick.credit.policy_values import Reader, keys_of, read_short_text

MAX_POLICY_LENGTH: Final = 1 << 20
MAX_RULES: Final = 200

_Kind = TypeVar("_Kind")


class Named(Protocol):
    """A rule with the name by which it is told apart."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


_Rule = TypeVar("_Rule", bound=Named)


def load(source: Path | str) -> dict[str, Any]:
    """The table of a file (a Path) or of TOML text (a str). Raises PolicyError, and OSError."""
    try:
        return tomllib.loads(source if isinstance(source, str) else _read(source))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        hint = "; to read a file, give a pathlib.Path" if isinstance(source, str) and "\n" not in source else ""
        raise PolicyError("", f"is not TOML: {error}{hint}") from None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_POLICY_LENGTH + 1)
    if len(data) > MAX_POLICY_LENGTH:
        raise PolicyError("", f"is longer than {MAX_POLICY_LENGTH} bytes")
    return data.decode("utf-8")


def read_policy(table: dict[str, Any], read_rule: Callable[[str, Any], _Rule]) -> tuple[str, tuple[_Rule, ...]]:
    """The name and the rules of a policy; `read_rule` is given the place of each and its value. Raises PolicyError."""
    for key in table:
        if key not in {"name", "rules"}:
            raise PolicyError(key, "is no key of a policy, which has name and rules")
    name = read_value("name", read_short_text, table["name"]) if "name" in table else "unnamed"
    entries = table.get("rules")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_RULES:
        raise PolicyError("rules", f"expected 1 to {MAX_RULES} tables [[rules]]")
    rules = tuple(read_rule(f"rules[{index}]", entry) for index, entry in enumerate(entries))
    seen = set()
    for index, rule in enumerate(rules):
        if rule.name in seen:
            raise PolicyError(f"rules[{index}].name", "another rule has this name; reasons are told apart by it")
        seen.add(rule.name)
    return name, rules


def read_table(path: str, entry: Any) -> dict[str, Any]:
    """A rule's table. Raises PolicyError."""
    if not isinstance(entry, dict):
        raise PolicyError(path, "expected a table")
    return entry


def read_fields(path: str, entry: dict[str, Any], kind: type[_Kind], what: str) -> _Kind:
    """A rule of a kind, of a table with the keys of its annotated fields. `what` names the kind. Raises PolicyError."""
    keys = keys_of(kind)
    for key in entry:
        if key not in keys:
            raise PolicyError(f"{path}.{key}", f"is no key of {what}, which has {', '.join(keys)}")
    for key, (_, required) in keys.items():
        if required and key not in entry:
            raise PolicyError(f"{path}.{key}", f"is missing; {what} needs it")
    values = {key: read_value(f"{path}.{key}", read, entry[key]) for key, (read, _) in keys.items() if key in entry}
    try:
        return kind(**values)
    except PolicyError as error:
        # What is wrong of several keys together the kind says itself, without their place.
        raise PolicyError(path, str(error)) from None


def read_value(path: str, read: Reader, value: Any) -> Any:
    """One value. Raises PolicyError, naming its place."""
    try:
        return read(value)
    except ValueError as error:
        raise PolicyError(path, str(error)) from None
