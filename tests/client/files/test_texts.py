"""Text that steers nothing, wherever it is shown."""

from __future__ import annotations

import pytest

from tallystick.client.cli.context import Tool
from tallystick.client.files.texts import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        # The space of Chinese texts is one that Python takes for unprintable.
        ("红\u3000卡\u00a0号", "红\u3000卡\u00a0号"),
        ("\x1b[2J\u202eover\r\n\u200b", "\ufffd[2J\ufffdover\ufffd\ufffd\ufffd"),
        ("\ud800\u2028\x7f\x9b", "\ufffd\ufffd\ufffd\ufffd"),
    ],
)
def test_what_would_steer_is_shown_as_such(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_whatever_a_command_prints_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tool = Tool()
    tool.remark("row 3: \x1b]0;title\x07\u202e")
    tool.results.print("first\nsecond \x1b[2J", markup=False)
    captured = capsys.readouterr()
    assert captured.err == "row 3: \ufffd]0;title\ufffd\ufffd\n"
    assert captured.out == "first\nsecond \ufffd[2J\n"
