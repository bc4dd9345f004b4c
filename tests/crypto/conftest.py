"""The vector files, and the scripts that write two of them."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# A machine under load is no failure of the code.
settings.register_profile("tallystick", deadline=None)
settings.load_profile("tallystick")

VECTORS = Path(__file__).parent.parent / "vectors"


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Reads a file of tests/vectors by its name without ".json"."""

    def read(name: str) -> Any:
        return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="session")
def vector_script() -> Callable[[str], ModuleType]:
    """Loads a script of tests/vectors by its name without ".py"."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, VECTORS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
