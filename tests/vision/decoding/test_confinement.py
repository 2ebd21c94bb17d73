"""What a decoding process may not do once it is confined, tried in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: other systems confine less"),
]

TRIED = """
import json, os, resource, socket, sys
from service.vision.decoding.confinement import MemoryLimit, allow_processor_time, confine

def tried(work):
    try:
        work()
    except BaseException as error:
        return type(error).__name__
    return "done"

memory = MemoryLimit()
confine(16)
memory.allow(50 * 2**20)
print(json.dumps({
    "files": tried(lambda: open("/etc/hostname")),
    "new files": tried(lambda: open(sys.argv[1], "w")),
    "a folder": tried(lambda: os.mkdir(sys.argv[1])),
    "a program": tried(lambda: os.execv("/bin/true", ["true"])),
    "a connection": tried(lambda: socket.create_connection(("127.0.0.1", 9))),
    "many descriptors": tried(lambda: [os.dup(1) for _ in range(20)]),
    "little memory": tried(lambda: bytearray(30 * 2**20)),
    "much memory": tried(lambda: bytearray(100 * 2**20)),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "niceness": os.nice(0),
}))
"""


def said(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each attempt."""
    done = said(TRIED, str(tmp_path_factory.mktemp("confined") / "new"))
    assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("attempt", ["files", "new files", "a folder", "a program", "a connection"])
def test_files_programs_and_the_network_are_out_of_reach(found: dict[str, Any], attempt: str) -> None:
    if found["files"] == "done":
        pytest.skip("needs a kernel with Landlock")
    assert found[attempt] in {"PermissionError", "OSError"}


def test_it_may_not_have_many_files_open(found: dict[str, Any]) -> None:
    assert found["many descriptors"] == "OSError"


def test_it_has_no_more_memory_than_it_is_allowed(found: dict[str, Any]) -> None:
    assert (found["little memory"], found["much memory"]) == ("done", "MemoryError")


def test_it_leaves_no_core_dump_and_goes_behind_other_work(found: dict[str, Any]) -> None:
    """A core dump would have the photo of somebody."""
    assert found["core"] == 0
    assert found["niceness"] >= 10


@pytest.mark.slow
def test_it_ends_when_its_processor_time_is_used_up() -> None:
    script = (
        "from service.vision.decoding.confinement import allow_processor_time\n"
        "allow_processor_time(0.5)\n"
        "while True: pass"
    )
    assert said(script).returncode == -24  # SIGXCPU


def test_it_ends_at_once_where_its_parent_is_gone() -> None:
    script = "from service.vision.decoding.confinement import die_with; die_with(1 << 22); print('here')"
    done = said(script)
    assert (done.returncode, done.stdout) == (0, "")
