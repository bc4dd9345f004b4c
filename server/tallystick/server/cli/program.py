"""The command's entry: its subcommands, and how every failure becomes one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import psycopg2
import sqlalchemy.exc

from tallystick.server.cli import EXIT_PROBLEM, INTERRUPTED
from tallystick.server.cli.certificates import certificate_commands
from tallystick.server.cli.groups import SHOWS_HELP, Commands
from tallystick.server.cli.initialise import init
from tallystick.server.cli.inspection import config_command, doctor, public
from tallystick.server.cli.keys import key_commands
from tallystick.server.cli.members import member_commands
from tallystick.server.cli.ratings import rating_commands
from tallystick.server.cli.serving import migrate, serve
from tallystick.server.cli.session import CONFIG_PATH
from tallystick.server.cli.subjects import subject_commands
from tallystick.server.errors import Problem, Refusal
from tallystick.server.installation.database import first_line

EXIT_REFUSED = 3
EXIT_FAULT = 70
TERMINATED = 128 + signal.SIGTERM
TRACE_VARIABLE = "TALLYSTICK_TRACE"

_EPILOG = """\b
Exit codes:
  0   done
  1   a problem of configuration, keys, certificates or database; or doctor found one
  2   the command line is wrong
  3   the request was refused (and logged); the reason is printed
  70  a fault of the program; with TALLYSTICK_TRACE=1 where it happened
"""


@click.group(cls=Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--config", type=CONFIG_PATH, help="The configuration file, for every subcommand.")
@click.version_option(package_name="tallystick")
def tallystickd(config: Path | None) -> None:
    """Runs and administers a Tallystick server: an exchange or a token authority.

    The configuration file is the one given by --config, else the one TALLYSTICK_CONFIG names, else ./tallystickd.toml.
    """


for _command in (
    init,
    migrate,
    serve,
    member_commands,
    rating_commands,
    key_commands,
    certificate_commands,
    subject_commands,
    config_command,
    public,
    doctor,
):
    tallystickd.add_command(_command)


def main() -> None:
    """Runs the command and exits."""
    # Unwinds what is open, such as an embedded database, before the process ends.
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)


def run(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code. What went wrong is one line on standard error."""
    try:
        result = tallystickd.main(arguments, prog_name="tallystickd", standalone_mode=False)
    except SHOWS_HELP as error:
        click.echo(str(error))
        return 0
    except click.ClickException as error:
        return _tell(_usage(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            click.echo(err=True)  # after the terminal's "^C"
        return _tell("interrupted", INTERRUPTED)
    except Refusal as refusal:
        return _tell(f"refused: {refusal}", EXIT_REFUSED)
    except Problem as problem:
        return _tell(str(problem), EXIT_PROBLEM)
    except (psycopg2.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        _reraise_if_asked()
        return _tell(f"the database failed: {_database_error(error)}; see tallystickd doctor", EXIT_PROBLEM)
    except Exception as error:  # noqa: BLE001 - the last place where a fault can become one line
        _reraise_if_asked()
        return _tell(f"a fault of the program ({type(error).__name__}): run again with {TRACE_VARIABLE}=1", EXIT_FAULT)
    return result if isinstance(result, int) else 0


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "tallystickd"
    return f"{' '.join(error.format_message().split())} ({command} --help tells more)"


def _database_error(error: Exception) -> str:
    """What failed, without the values of a row: those are in the lines after the first."""
    original = getattr(error, "orig", None)
    return first_line(original if isinstance(original, Exception) else error)


def _reraise_if_asked() -> None:
    if os.environ.get(TRACE_VARIABLE):
        raise


def _tell(text: str, code: int) -> int:
    click.echo(f"tallystickd: {text}", err=True)
    return code
