"""Text files, written whole or not at all, and text that steers nothing."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.places import is_written_in_place, open_in_place
from tallystick.client.files.tables import partial_of


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 to a file beside the path (see `partial_of`), which takes its place once it is on the disk: with the permissions
    of the one that it replaces. What is no file to be replaced, such as /dev/stdout, is written in place. Raises FileInvalid."""
    content = text.encode()
    try:
        if is_written_in_place(path):
            with os.fdopen(open_in_place(path), "wb") as file:
                file.write(content)
            return
        place, partial = Path(os.path.realpath(path)), partial_of(path)
        try:
            partial.unlink(missing_ok=True)
            with partial.open("xb") as file:
                if place.exists():
                    shutil.copymode(place, partial)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be written: {error.strerror}") from None


def visible(text: str) -> str:
    """The text in one line, without what would steer a terminal or a page, or turn its direction."""
    if text.isprintable():
        return text
    # Python takes all spaces but the plain one for what cannot be printed; Chinese has one of its own.
    seen = (each if each.isprintable() or unicodedata.category(each) == "Zs" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return "".join(seen)
