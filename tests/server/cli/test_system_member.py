"""The exchange's own member: admitted by the operator with its key, and its role given to nobody else."""

from pathlib import Path

import pytest
from tests.server.cli.running import TOKEN_KEY, Run, entries, json_lines

EXCHANGE = "exchange.example/log"


@pytest.fixture
def exchange(tallystickd: Run, tmp_path: Path, fresh_database: str) -> Path:
    """The configuration file of a new exchange."""
    code, _, errors = tallystickd(
        *("init", tmp_path / "exchange", "--role", "exchange", "--origin", EXCHANGE, "--listen", "127.0.0.1:1"),
        *("--database", fresh_database, "--token-public-key", TOKEN_KEY, "--token-sequence", "1"),
    )
    assert (code, errors) == (0, "")
    return tmp_path / "exchange" / "tallystickd.toml"


def roles(tallystickd: Run, config: Path, member_id: str) -> list[str]:
    code, output, _ = tallystickd("member", "list", "--json", "--config", config)
    assert code == 0
    return next(list(each["roles"]) for each in json_lines(output) if each["member_id"] == member_id)


def test_the_operator_admits_it_and_again_adds_no_key(tallystickd: Run, exchange: Path, fresh_database: str) -> None:
    for _ in range(2):
        code, output, errors = tallystickd("member", "system", "--config", exchange)
        assert (code, output, errors) == (0, "admitted exchange, with its key\n", "")
    assert roles(tallystickd, exchange, "exchange") == ["system"]
    assert entries(fresh_database).count("AddMemberKey") == 2  # the operator's, and this one


def test_a_name_that_is_taken_is_told(tallystickd: Run, exchange: Path) -> None:
    create = ("member", "create", "exchange", "--name", "A bank", "--roles", "reporter", "--config", exchange)
    assert tallystickd(*create)[0] == 0
    code, output, errors = tallystickd("member", "system", "--config", exchange)
    assert code != 0
    assert output == ""
    assert "exchange is a member without the role system: set system_member to a name that nobody has" in errors
    assert roles(tallystickd, exchange, "exchange") == ["reporter"]


def test_all_roles_are_not_that_of_the_exchange(tallystickd: Run, exchange: Path) -> None:
    assert tallystickd("member", "create", "bank-a", "--name", "A", "--roles", "all", "--config", exchange)[0] == 0
    given = roles(tallystickd, exchange, "bank-a")
    assert {"reporter", "inquirer"} <= set(given)
    assert "system" not in given
    code, _, errors = tallystickd("member", "create", "bank-b", "--name", "B", "--roles", "system", "--config", exchange)
    assert code == 2
    assert "system" in errors


def test_a_token_authority_has_none(tallystickd: Run, server: Path) -> None:
    code, _, errors = tallystickd("member", "system", "--config", server)
    assert code != 0
    assert "a token authority has no watches" in errors
