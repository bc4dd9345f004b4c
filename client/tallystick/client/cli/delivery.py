"""Handing messages on: to a screen, as JSON lines, or to a program of the bank's own."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool
from tallystick.client.exceptions import FileInvalid
from tallystick.client.exchange import Exchange
from tallystick.client.files.accounts import undamaged
from tallystick.client.files.cells import Cells
from tallystick.client.files.reading import TableReader
from tallystick.client.files.texts import visible
from tallystick.credit.monitoring import Alert, EarlyWarning, MonitoringMessage, WarningPolicy

_ACCOUNT = "account_number"


class Delivery:
    """Hands messages on, one after the other."""

    def __init__(self, tool: Tool, known: dict[bytes, str], policy: WarningPolicy, program: str | None) -> None:
        """`known` are the bank's own account numbers by their references; `program` is run for each message."""
        self.told = 0
        self._tool = tool
        self._known = known
        self._policy = policy
        try:
            self._arguments = shlex.split(program) if program is not None else []
        except ValueError as error:
            raise click.BadParameter(f"cannot be split into words: {error}", param_hint="--exec") from None
        if program is not None and not self._arguments:
            raise click.BadParameter("names no program", param_hint="--exec")

    def tell(self, message: MonitoringMessage) -> None:
        """Hands one message on. Raises ClickException when the program did not take it: it is not acknowledged then."""
        warning = self._policy.classify([message.content]) if isinstance(message.content, Alert) else None
        if self._arguments:
            self._run(self._json(message, warning))
        elif self._tool.as_json:
            output.write_json(self._json(message, warning))
        else:
            self._print(message, warning)
        self.told += 1

    def show(self) -> None:
        """Says how many there were, beside what was shown of them."""
        self._tool.remark("no message" if not self.told else "1 message" if self.told == 1 else f"{self.told} messages")

    def _account(self, message: MonitoringMessage) -> str:
        return self._known.get(message.account_reference, "")

    def _json(self, message: MonitoringMessage, warning: EarlyWarning | None) -> dict[str, Any]:
        content = message.content
        kind = "alert" if isinstance(content, Alert) else "watch_ended"
        return {
            "message_id": message.message_id,
            "date": message.date,
            "account_number": self._account(message) or None,
            "account_reference": message.account_reference,
            "watch_id": message.watch_id,
            "purpose": message.purpose,
            "consent_reference": message.consent_reference,
            kind: content,
            "text": str(content),
            "class": str(warning.warning_class) if warning is not None else None,
            "action": warning.action if warning is not None else None,
        }

    def _print(self, message: MonitoringMessage, warning: EarlyWarning | None) -> None:
        account = self._account(message) or f"reference {message.account_reference.hex()}"
        class_ = f"{warning.warning_class}: " if warning is not None else ""
        lines = [f"{message.date.isoformat()}  {account}  {class_}{message.content}"]
        if warning is not None:
            lines.append(f"    {warning.action}")
        for line in lines:
            self._tool.results.print(visible(line), markup=False, highlight=False, soft_wrap=True)

    def _run(self, message: dict[str, Any]) -> None:
        text = json.dumps(output.plain(message), ensure_ascii=False)
        try:
            done = subprocess.run(self._arguments, input=text, text=True, encoding="utf-8", check=False)  # noqa: S603 - the caller's own program
        except OSError as error:
            raise FileInvalid(f"--exec: {self._arguments[0]}: {error.strerror or error}; the message is not acknowledged") from None
        if done.returncode:
            text = (
                f"--exec ended with {done.returncode} for message {message['message_id']}: it is not acknowledged, and comes again"
            )
            raise FileInvalid(text)


def book_references(exchange: Exchange, path: Path) -> dict[bytes, str]:
    """The account numbers of a file, by the references that stand for them. Raises FileInvalid, which names the row."""
    source = Path("/dev/stdin") if str(path) == "-" else path
    table = TableReader(source, (_ACCOUNT,), (), others=True)
    positions = {name: position for position, name in enumerate(table.columns)}
    numbers = []
    for row, values in table:
        cells = Cells(positions, values)
        numbers.append(cells.take(_ACCOUNT, undamaged, ""))
        if cells.faults:
            raise FileInvalid(f"{path}: row {row}: {_ACCOUNT}: {cells.faults[0].description}")
    return exchange.monitoring.references(numbers)
