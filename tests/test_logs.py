"""The log's two forms, as a process writes them to standard error."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from textwrap import dedent

from tests.support.processes import ROOT

REQUEST = """
    named = {"request_id": "abc", "method": "POST", "route": "/x", "code": "1004", "reason": "face_not_found"}
    asked_by = {"client": "10.0.0.7", "device_id": "door-7"}
    log.info("request", extra={"detail": "No face.", "ms": {"total": 1.5}, **asked_by, **named})
"""


def written(log_format: str, level: str, script: str) -> list[str]:
    """The lines that a script writes whose `log` is a logger of the service."""
    head = "import logging\nfrom service.log_writer import LogWriter\nfrom service.logs import configure\n"
    head += f"configure({log_format!r}, {level!r}, LogWriter())\n"
    head += "log = logging.getLogger('service.x')\n"
    command = [sys.executable, "-c", head + dedent(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_text_is_one_line_for_people() -> None:
    """The fields come in one order, whatever theirs is: the time, then what was asked, by whom, and how it went."""
    (line,) = written("text", "INFO", REQUEST)
    stamp, said = line[:19], line[20:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", stamp)
    assert said == ("INFO    request abc POST /x 1004 face_not_found 10.0.0.7 door-7 total=1.5ms detail=No face.")


def test_json_is_one_object_a_line() -> None:
    """With the time, the level, the logger's name and every field."""
    (line,) = written("json", "INFO", REQUEST)
    fields = json.loads(line)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", fields.pop("time"))
    assert fields == {
        "level": "INFO",
        "logger": "service.x",
        "message": "request",
        "request_id": "abc",
        "method": "POST",
        "route": "/x",
        "code": "1004",
        "reason": "face_not_found",
        "client": "10.0.0.7",
        "device_id": "door-7",
        "detail": "No face.",
        "ms": {"total": 1.5},
    }


def test_json_keeps_a_traceback_in_its_line() -> None:
    script = """
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("line one\\nline two")
    """
    (line,) = written("json", "INFO", script)
    assert json.loads(line)["message"] == "line one\nline two"
    assert "ZeroDivisionError" in json.loads(line)["exc_info"]


def test_the_level_is_the_least() -> None:
    script = "log.debug('d'); log.info('i'); log.warning('w'); log.error('e')"
    for level, count in (("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)):
        assert len(written("text", level, script)) == count


def test_warnings_are_lines_too() -> None:
    for line in written("json", "INFO", "import warnings; warnings.warn('careful', stacklevel=1)"):
        assert "careful" in json.loads(line)["message"]


def test_other_errors_of_the_server_keep_their_traceback() -> None:
    script = """
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("aiohttp.server").exception("Unhandled exception")
    """
    lines = written("text", "INFO", script)
    assert lines[-1].startswith("ZeroDivisionError")


def test_a_photos_metadata_is_never_logged() -> None:
    """Not even at DEBUG, where Pillow would write down who took it."""
    script = """
        import io
        from PIL import Image
        exif = Image.Exif()
        exif[0x013B] = "Jane Roe"
        out = io.BytesIO()
        Image.new("RGB", (8, 8)).save(out, "TIFF", exif=exif)
        assert Image.open(io.BytesIO(out.getvalue())).getexif()[0x013B] == "Jane Roe"
        log.debug("decoded")
    """
    lines = written("text", "DEBUG", script)
    assert lines[-1].endswith("decoded")
    assert "Jane Roe" not in "\n".join(lines)
