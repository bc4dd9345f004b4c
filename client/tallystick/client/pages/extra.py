"""What the extra `page` brings; the plain install does without."""

from __future__ import annotations

import logging
from typing import Any

from tallystick.client.exceptions import FileInvalid

_MISSING = 'the page needs an extra: pip install "tallystick[page]"'


def check_installed() -> None:
    """Raises FileInvalid, which says what to install."""
    jinja_module()
    matplotlib_module()


def jinja_module() -> Any:
    """jinja2."""
    try:
        import jinja2
    except ImportError:
        raise FileInvalid(_MISSING) from None
    return jinja2


def matplotlib_module() -> Any:
    """matplotlib, as far as figures need it: no window, no state of its own."""
    try:
        import matplotlib
        import matplotlib.figure
        import matplotlib.patches
    except ImportError:
        raise FileInvalid(_MISSING) from None
    # It tells of its fonts and of its folder, which nobody asked for.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    return matplotlib
