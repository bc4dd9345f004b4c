"""What the SDK needs when it is installed without its extras."""

import subprocess
import sys

_WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("click", "rich", "pandas", "numpy", "pyarrow", "pytest", "duckdb", "jinja2"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _WITHOUT + code], capture_output=True, text=True)


def test_the_sdk_works_without_the_packages_of_its_extras() -> None:
    code = "import tallystick.client as sdk; [getattr(sdk, name) for name in sdk.__all__]; print('loaded')"
    assert run(code).stdout == "loaded\n"


def test_frames_say_in_one_line_what_to_install() -> None:
    code = "from tallystick.client import frames\ntry: frames.to_frame([])\nexcept Exception as error: print(error)"
    assert run(code).stdout == 'frames need an extra: pip install "tallystick[pandas]"\n'


def test_the_analysis_of_a_book_says_in_one_line_what_to_install() -> None:
    code = "from tallystick.client import analyse\ntry: analyse('book.csv')\nexcept Exception as error: print(error)"
    assert run(code).stdout == 'the analysis of a book needs an extra: pip install "tallystick[analysis]"\n'


def test_the_exchange_in_memory_works_without_any_extra() -> None:
    code = (
        "from tallystick.testing import InMemoryExchange, account, person\nfrom tallystick.client import Purpose\n"
        "memory = InMemoryExchange(); memory.known(person(), account())\n"
        "print(len(memory.exchange().query(person(), Purpose.LOAN_APPROVAL, 'C-1').history.accounts))"
    )
    assert run(code).stdout == "1\n"


def test_the_command_says_in_one_line_what_to_install() -> None:
    result = run("from tallystick.client.cli import main; main()")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "tallystick: click is not installed: pip install 'tallystick[cli]'\n"
