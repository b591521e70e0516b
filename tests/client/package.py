"""The client's package, as ``pip install ./script/client`` builds it, and the examples about it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCS, re.S)


def unpacked_wheel(folder: Path) -> Path:
    """Build the wheel of a copy, as a build leaves files beside the sources."""
    folder.mkdir(exist_ok=True)
    source = shutil.copytree(ROOT / "script" / "client", folder / "source")
    build = ["wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", *build, str(source)], check=True, timeout=120)
    [wheel] = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    return folder / "wheel"
