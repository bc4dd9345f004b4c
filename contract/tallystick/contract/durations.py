"""Durations as people say them."""

from datetime import timedelta

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def in_words(duration: timedelta) -> str:
    """A duration in its two largest units, such as "20 days and 3 hours"; without its sign."""
    seconds = int(abs(duration.total_seconds()))
    for place, (size, name) in enumerate(_UNITS):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            text = _counted(count, name)
            if place + 1 < len(_UNITS) and rest >= _UNITS[place + 1][0]:
                text += f" and {_counted(rest // _UNITS[place + 1][0], _UNITS[place + 1][1])}"
            return text
    return "0 seconds"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
