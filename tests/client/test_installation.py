"""What the SDK needs when it is installed without the extra for the command."""

import subprocess
import sys

_WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("click", "rich"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _WITHOUT + code], capture_output=True, text=True)


def test_the_sdk_works_without_the_command_s_packages() -> None:
    code = "import tallystick.client as sdk; [getattr(sdk, name) for name in sdk.__all__]; print('loaded')"
    assert run(code).stdout == "loaded\n"


def test_the_command_says_in_one_line_what_to_install() -> None:
    result = run("from tallystick.client.cli import main; main()")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "tallystick: click is not installed: pip install 'tallystick[cli]'\n"
