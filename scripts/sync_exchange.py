"""Writes exchange.py, the blocking exchange, from async_exchange.py: make sync. With --check it only compares.

Each substitution must match, so that a change of the source which the table does not know is noticed.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "client" / "tallystick" / "client"
SOURCE, TARGET = FOLDER / "async_exchange.py", FOLDER / "exchange.py"

HEADER = "# Written by `make sync` from async_exchange.py: change that file.\n"

SUBSTITUTIONS = (
    (
        r"The asynchronous exchange: the public interface of the SDK on asyncio\.",
        "The blocking exchange: the public interface of the SDK for ordinary code.",
    ),
    (r"import asyncio\n", ""),
    (
        r"AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence",
        "Callable, Iterable, Iterator, Mapping, Sequence",
    ),
    (r"drivers\.tasks import", "drivers.threads import"),
    (r"\bTaskDriver\b", "ThreadDriver"),
    (r"class AsyncExchange", "class Exchange"),
    (r"AsyncServicingRecord", "ServicingRecord"),
    (r"`AsyncExchange\.servicing`", "`Exchange.servicing`"),
    (
        r"For one event loop; close it, or use it in an `async with` statement",
        "Safe to use from several threads; close it, or use it in a `with` statement",
    ),
    (r"AsyncTransport", "Transport"),
    (r"Callable\[\[float\], Awaitable\[None\]\] = asyncio\.sleep", "Callable[[float], None] = time.sleep"),
    (r" \| AsyncIterable\[\w+\]", ""),
    (r"AsyncGenerator\[", "Iterator["),
    (r"__aenter__", "__enter__"),
    (r"__aexit__", "__exit__"),
    (r"async def ", "def "),
    (r"await ", ""),
)


def blocking(source: str) -> str:
    """The blocking module for an asynchronous one; raises SystemExit for a substitution that matches nothing."""
    for pattern, replacement in SUBSTITUTIONS:
        source, count = re.subn(pattern, replacement, source)
        if not count:
            raise SystemExit(f"{SOURCE.name}: nothing matches {pattern!r}: correct the table in {Path(__file__).name}")
    if left := re.search(r"(?i)\b(async|await)\w*|asyncio", source):
        raise SystemExit(f"{SOURCE.name}: {left[0]!r} is left over: add it to the table in {Path(__file__).name}")
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(command, input=HEADER + source, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Writes or, with --check, compares."""
    wanted = blocking(SOURCE.read_text("utf-8"))
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(wanted, "utf-8")
        return
    found = TARGET.read_text("utf-8")
    if found != wanted:
        sys.stdout.writelines(difflib.unified_diff(found.splitlines(True), wanted.splitlines(True), TARGET.name, "make sync"))
        raise SystemExit("exchange.py is not what async_exchange.py gives: run make sync")


if __name__ == "__main__":
    main()
