"""Writes the blocking exchange from the asynchronous one: make sync. With --check it only compares.

Each substitution must match in one of the modules, so that a change of a source which the table does not know is noticed.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "client" / "tallystick" / "client"
MODULES = {"async_exchange.py": "exchange.py", "async_watches.py": "watches.py"}
"""Each source, and what is written from it."""

HEADER = "# Written by `make sync` from {source}: change that file.\n"

SUBSTITUTIONS = (
    (
        r"The asynchronous exchange: the public interface of the SDK on asyncio\.",
        "The blocking exchange: the public interface of the SDK for ordinary code.",
    ),
    (r"Watches and messages on asyncio: the methods of `AsyncExchange\.monitoring`\.", "Watches and messages, for ordinary code."),
    (r"import asyncio\n", ""),
    (
        r"AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping, Sequence",
        "Callable, Collection, Iterable, Iterator, Mapping, Sequence",
    ),
    (r"AsyncGenerator, AsyncIterable, Iterable, Sequence", "Iterable, Iterator, Sequence"),
    (r"drivers\.tasks import", "drivers.threads import"),
    (r"\bTaskDriver\b", "ThreadDriver"),
    (r"class AsyncExchange", "class Exchange"),
    (r"AsyncServicingRecord", "ServicingRecord"),
    (r"client\.async_watches import", "client.watches import"),
    (r"AsyncWatching", "Watching"),
    (r"`AsyncExchange\.monitoring`", "`Exchange.monitoring`"),
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


def blocking(sources: dict[str, str]) -> dict[str, str]:
    """The blocking modules for the asynchronous ones, by their names; raises SystemExit for a substitution that matches nothing."""
    written = dict(sources)
    for pattern, replacement in SUBSTITUTIONS:
        found = 0
        for name, source in written.items():
            written[name], count = re.subn(pattern, replacement, source)
            found += count
        if not found:
            raise SystemExit(f"nothing matches {pattern!r}: correct the table in {Path(__file__).name}")
    for name, source in written.items():
        if left := re.search(r"(?i)\b(async|await)\w*|asyncio", source):
            raise SystemExit(f"{name}: {left[0]!r} is left over: add it to the table in {Path(__file__).name}")
    return {MODULES[name]: _formatted(name, source) for name, source in written.items()}


def _formatted(source_name: str, source: str) -> str:
    target = FOLDER / MODULES[source_name]
    # Names sort otherwise than those that they take the place of.
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format"]):
        run = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(target), "-"]
        text = source if command[0] == "format" else HEADER.format(source=source_name) + source
        source = subprocess.run(run, input=text, capture_output=True, text=True, check=True).stdout
    return source


def main() -> None:
    """Writes or, with --check, compares."""
    wanted = blocking({name: (FOLDER / name).read_text("utf-8") for name in MODULES})
    for name, text in wanted.items():
        target = FOLDER / name
        if "--check" not in sys.argv[1:]:
            target.write_text(text, "utf-8")
        elif (found := target.read_text("utf-8")) != text:
            sys.stdout.writelines(difflib.unified_diff(found.splitlines(True), text.splitlines(True), name, "make sync"))
            raise SystemExit(f"{name} is not what its source gives: run make sync")


if __name__ == "__main__":
    main()
