"""What the package shows, and what it needs to be imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pi_datasource

CORE = ("errors", "options.documentation", "planning.sql_predicate", "tables.registry", "recorded.fetch",
        "points.tracked_points", "webapi.data_servers")  # fmt: skip
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Block())
"""


def run(code: str, *blocked: str) -> str:
    """What ``code`` prints in a fresh interpreter that cannot import ``blocked``."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=blocked) + code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_all_is_sorted_and_names_exactly_what_is_visible() -> None:
    names = pi_datasource.__all__
    assert names == sorted(names)
    modules = {"annotations", "TYPE_CHECKING", "Any"}
    visible = {
        name
        for name, value in vars(pi_datasource).items()
        if not name.startswith("_") and not isinstance(value, type(sys)) and name not in modules
    }
    assert visible == set(names) - {"PIDataSource", "__version__"}
    assert all(hasattr(pi_datasource, name) for name in names)


def test_the_source_is_loaded_when_asked_for_and_nothing_else_is_there() -> None:
    assert pi_datasource.PIDataSource.__name__ == "PIDataSource"
    with pytest.raises(AttributeError, match=r"^module 'pi_datasource' has no attribute 'nothing'$"):
        _ = pi_datasource.nothing


def test_the_core_imports_without_spark() -> None:
    code = f"import importlib\nfor m in {CORE!r}: importlib.import_module('pi_datasource.' + m)\n"
    assert run(code + "print('pyspark' in sys.modules)", "pyspark", "pandas", "delta") == "False"


@pytest.mark.parametrize("blocked", [("pyspark",), ("pyarrow",), ("pydantic", "msgspec", "requests")])
def test_the_module_that_spark_imports_never_raises_and_logs_why_the_source_is_missing(
    blocked: tuple[str, ...],
) -> None:
    code = (
        "import io, contextlib\nwith contextlib.redirect_stderr(io.StringIO()) as out: import pyspark_pi_datasource as p\n"
        "print(hasattr(p, 'DefaultSource'), out.getvalue())"
    )
    said = run(code, *blocked)
    assert said.startswith("False format('pi') is not available in this Python environment: ImportError: ")
    assert any(f"{name} is blocked. Install what it needs" in said for name in blocked)


def test_the_module_that_spark_imports_holds_the_source() -> None:
    assert run("import pyspark_pi_datasource as p; print(p.DefaultSource.name())") == "pi"


def test_the_command_without_its_packages_says_how_to_get_them() -> None:
    code = (
        "import io, contextlib, pi_datasource.cli as c\nout = io.StringIO()\n"
        "with contextlib.redirect_stderr(out):\n    try: c.main()\n    except SystemExit as e: print(e.code)\n"
        "print(out.getvalue())"
    )
    assert run(code, "typer", "rich", "click") == (
        "1\npi-datasource: the command needs two more packages: pip install 'pi-datasource[cli]'"
    )
