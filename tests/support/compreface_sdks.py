"""CompreFace's own SDKs, as they were published: each in a folder of its own, with what it needs, never in ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PYTHON = (
    "compreface-sdk==0.6.0",
    "requests-toolbelt==0.9.1",  # which it pins, and which needs a urllib3 below 2
    "requests==2.31.0",
    "urllib3==1.26.20",
)
"""From PyPI (Apache-2.0)."""
JAVASCRIPT = ("@exadel/compreface-js-sdk@1.0.0", "axios@0.21.4", "form-data@4.0.4")
"""From npm (Apache-2.0, and MIT)."""


def fetch_python(folder: Path) -> Path:
    """An interpreter that has the SDK in Python, in an environment in `folder`."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = folder / f"python-{version}"
    done = environment / ".done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", "--only-binary=:all:"]
        subprocess.run([*pip, *PYTHON], check=True)
        done.touch()
    return environment / "bin" / "python"


def fetch_javascript(folder: Path) -> Path:
    """A folder `node_modules` in `folder` that has the SDK in JavaScript."""
    done = folder / ".done-javascript"
    if not done.exists():
        (folder / "package.json").write_text("{}", "utf-8")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", "--save-exact"]
        subprocess.run([*npm, *JAVASCRIPT], cwd=folder, check=True)
        done.touch()
    return folder / "node_modules"
