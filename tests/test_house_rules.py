"""House rules that no linter holds: modules under 400 lines, functions under 50, no module whose name says nothing.

Migrations are not among them: one that has been run is not changed.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("server", "client", "testing", "crypto", "contract", "credit", "benchmarks", "examples", "scripts", "tests")
MODULES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "_pb2" not in path.name and "build" not in path.parts
]
EMPTY_NAMES = {"utils", "util", "helpers", "common", "misc", "manager"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_fit(path: Path) -> None:
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= 400
    assert path.stem not in EMPTY_NAMES
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    assert [f.name for f in functions if (f.end_lineno or f.lineno) - f.lineno >= 50] == []
