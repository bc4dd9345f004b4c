"""The composition, as far as it goes without an engine. That its roles are made is tested with those of the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "docker"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
ROLES = ["authority", "exchange"]


def variables(text: str) -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+)", text))


def test_every_variable_is_in_the_example_and_none_is_left_over() -> None:
    example = {line.split("=")[0] for line in (FOLDER / "env.example").read_text().splitlines() if re.match(r"[A-Z_]+=", line)}
    assert variables((FOLDER / "compose.yaml").read_text()) == example


@pytest.mark.parametrize("name", ROLES)
def test_who_serves_is_not_who_migrates_and_neither_is_the_superuser(name: str) -> None:
    upper = name.upper()
    database = SERVICES[f"{name}-database"]["environment"]
    assert variables(database["SERVER_PASSWORD"]) == variables(SERVICES[name]["environment"]["PGPASSWORD"])
    assert variables(database["OWNER_PASSWORD"]) == {f"{upper}_OWNER_PASSWORD"}
    (serving,) = [each for each in SERVICES[f"{name}-init"].get("command") or [] if each.startswith("--database=")] or [
        each for each in SERVICES[f"{name}-init"]["entrypoint"] if each.startswith("--database=")
    ]
    (owner,) = [each for each in SERVICES[f"{name}-migrate"]["command"] if each.startswith("--database=")]
    assert f"//{name}_server@{name}-database/{database['POSTGRES_DB']}" in serving
    assert re.search(rf"//{name}_owner:\$\{{{upper}_OWNER_PASSWORD.*\}}@{name}-database/{database['POSTGRES_DB']}$", owner)
    assert "./database-roles.sh:/docker-entrypoint-initdb.d/database-roles.sh:ro" in SERVICES[f"{name}-database"]["volumes"]
