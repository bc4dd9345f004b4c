"""The `tallystick` program: its commands, and the one place where an exception becomes a line of text and an exit code.

0  done                           3  the exchange was not reached: run it again
1  done, but something was        4  the exchange refused
   rejected, or differs           5  not trusted: an answer or the log is not what it must be
2  wrong usage, profile or file   70 a fault of this program;  130 interrupted;  141 the output was closed
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tallystick.client.cli.analysis import analyse
from tallystick.client.cli.audit_counts import count
from tallystick.client.cli.audit_lists import list_entries
from tallystick.client.cli.auditing import audit
from tallystick.client.cli.context import Interrupted, OutputClosed, Tool
from tallystick.client.cli.doctor import doctor
from tallystick.client.cli.groups import SHOWS_HELP, Commands
from tallystick.client.cli.inquiries import query, screen
from tallystick.client.cli.keys import key
from tallystick.client.cli.monitoring import watch
from tallystick.client.cli.notices import notices
from tallystick.client.cli.policy import policy
from tallystick.client.cli.portfolio import portfolio
from tallystick.client.cli.process import Nowhere, drop_output, end, leave, was_interrupted
from tallystick.client.cli.rating import rating
from tallystick.client.cli.reporting import report, submissions, withdraw
from tallystick.client.cli.servicing import event
from tallystick.client.exceptions import NotReached, NotTrusted, NotUsable, Refused
from tallystick.client.files.texts import visible
from tallystick.credit.screening import PolicyError

OK, INCOMPLETE, USAGE, NOT_REACHED, REFUSED, NOT_TRUSTED, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130
OUTPUT_CLOSED = 141
"""As a program that SIGPIPE ended: `tallystick … | head` is no failure, and did not come to its end."""
TRACE_VARIABLE = "TALLYSTICK_TRACE"


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, invoke_without_command=True
)
@click.option("--profile", type=click.Path(path_type=Path, file_okay=False), help="The member's profile folder.")
@click.version_option(package_name="tallystick")
@click.pass_context
def program(context: click.Context, profile: Path | None) -> None:
    """Report accounts to a Tallystick exchange, query credit histories, and verify the exchange.

    Exit codes: 0 done; 1 something was rejected or differs; 2 wrong usage, profile or file; 3 not reached; 4 refused;
    5 not trusted. With --json a list is one object a line: "python -m json.tool --json-lines" reads it.
    """
    tool = context.ensure_object(Tool)
    tool.profile = profile or tool.profile
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for each in (
    *(report, query, screen, withdraw, submissions, event, watch, portfolio, rating, notices, analyse),
    *(audit, policy, key, doctor),
):
    program.add_command(each)
for each in (list_entries, count):
    audit.add_command(each)


def main(arguments: Sequence[str] | None = None, tool: Tool | None = None) -> None:
    """Runs the program and exits with its code. Whatever goes wrong is one line on standard error."""
    # gRPC's own log would put lines of its own before that one.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.basicConfig(format="tallystick: %(message)s", level=logging.WARNING)
    try:
        end(run(arguments, tool))
    except KeyboardInterrupt:  # between one handler and the next
        leave()


def run(arguments: Sequence[str] | None, tool: Tool | None = None) -> int:
    """Runs the program; returns its exit code."""
    try:
        code = program.main(args=arguments, prog_name="tallystick", standalone_mode=False, obj=tool)
        sys.stdout.flush()  # here, so that what goes wrong with it is reported like everything else
    except SHOWS_HELP as error:
        click.echo(str(error))
        return OK
    except click.ClickException as error:
        return _complain(f"{error.format_message()} (--help tells more)", USAGE, error)
    except (Interrupted, click.Abort, KeyboardInterrupt) as error:
        return _interrupted(error)
    except (OutputClosed, BrokenPipeError):
        drop_output()
        return OUTPUT_CLOSED
    except NotTrusted as error:
        return _complain(f"NOT TRUSTED ({type(error).__name__}): {error}", NOT_TRUSTED, error)
    except NotReached as error:
        return _complain(f"not reached: {error}", NOT_REACHED, error)
    except Refused as error:
        return _complain(f"refused: {error}", REFUSED, error)
    except (NotUsable, PolicyError) as error:
        return _complain(str(error), USAGE, error)
    except OSError as error:
        drop_output()
        # Only standard output is written without naming what could not be.
        return _complain(f"{error.filename or 'standard output'}: {error.strerror or error}", USAGE, error)
    except Exception as error:  # the outermost edge: a line for the operator, the trace on demand
        if was_interrupted():
            return _interrupted(error)
        if os.environ.get(TRACE_VARIABLE):
            raise
        text = f"a fault of this program ({type(error).__name__}); set {TRACE_VARIABLE}=1 to see where"
        return _complain(text, FAULT, error)
    if isinstance(sys.stdout, Nowhere) and sys.stdout.wanted:
        sys.stderr.write("tallystick: standard output is closed: what should be shown there was not\n")
    return code if isinstance(code, int) else OK


def _interrupted(error: BaseException) -> int:
    if sys.stderr.isatty():
        sys.stderr.write("\n")  # after the terminal's "^C"
    return _complain("interrupted", INTERRUPTED, error)


def _complain(text: str, code: int, error: BaseException) -> int:
    text = "; ".join([text, *getattr(error, "__notes__", ())])
    sys.stderr.write(f"tallystick: {visible(' '.join(text.split()))}\n")
    return code
