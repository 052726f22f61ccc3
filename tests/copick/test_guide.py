"""docs/copick.md: its examples, one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "copick.md"


def test_the_examples_work(tmp_path: Path) -> None:
    """In a process of their own: they make `import copick` mean ours."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "overwrite" in done.stdout
    assert "merge" in done.stdout
    assert "3 points" in done.stdout
