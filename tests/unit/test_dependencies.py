"""What the core imports is what the package declares, so that pip brings it."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHELLS = {"cli", "delta", "dashboard"}  # each has an extra of its own


def core() -> set[str]:
    """The packages that modules outside the extras import when they are loaded."""
    found = set()
    package = ROOT / "src" / "pi_datasource"
    for module in package.rglob("*.py"):
        if module.relative_to(package).parts[0] in SHELLS:
            continue
        for node in ast.parse(module.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"pi_datasource"}


def declared() -> set[str]:
    """The names in ``dependencies``."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    return {re.split(r"[<>=!~; \[]", line.strip(' ",'))[0] for line in block.splitlines() if line.strip()}


def test_every_import_of_the_core_is_declared() -> None:
    assert core() - {"pyspark"} <= declared()  # clusters bring Spark


def test_urllib3_is_the_version_whose_interface_is_used() -> None:
    assert '"urllib3>=2.0.2"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
