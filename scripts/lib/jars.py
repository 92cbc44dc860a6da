"""Delta's two jars: fetched by Ivy, with its ordinary cache, into the installed Spark."""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies
from xml.sax.saxutils import quoteattr

import truststore
from java import Java

GROUP = "io.delta"
TRUST_FAILURE = re.compile("PKIX|SSLHandshake|unable to find valid certification|trustAnchors")

# The same cache and the same repository names as Spark's own --packages, so that each finds what the other
# fetched; DEFAULT_ARTIFACT_REPOSITORY is Spark's variable for a mirror.
SETTINGS = """\
<ivysettings>
  <settings defaultResolver="all"/>
  <caches defaultCacheDir="${{user.home}}/.ivy2.5.2/cache" lockStrategy="artifact-lock-nio"/>
  <resolvers>
    <chain name="all" returnFirst="true">
      <ibiblio name="local-m2-cache" m2compatible="true" root="file:${{user.home}}/.m2/repository/"/>
      <ibiblio name="central" m2compatible="true"{root}/>
    </chain>
  </resolvers>
</ivysettings>
"""

MODULE = """\
<ivy-module version="2.0">
  <info organisation="local" module="environment"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
{dependencies}
  </dependencies>
</ivy-module>
"""


@dataclass(frozen=True)
class Jar:
    """One artefact by its coordinates, without the group, which is always Delta's."""

    artifact: str
    version: str

    @property
    def file(self) -> str:
        """Its name in Spark's folder of jars."""
        return f"{self.artifact}-{self.version}.jar"


def wanted(spark: str, delta: str, folder: Path) -> list[Jar]:
    """The two jars that tables, MERGE and streaming need; the rest is in pyspark already.

    Delta names its jar after Spark's minor version and Scala's, which Spark's own jars carry in their names.
    """
    core = next(folder.glob("spark-core_*.jar"), None)
    if core is None:
        sys.exit(f"{folder} holds no Spark: the installation of pyspark is incomplete")
    scala = core.name.split("_")[1].split("-")[0]
    minor = ".".join(spark.split(".")[:2])
    return [Jar(f"delta-spark_{minor}_{scala}", delta), Jar("delta-storage", delta)]


def present(jars: Sequence[Jar], folder: Path) -> bool:
    """Whether they are in Spark's folder."""
    return all((folder / jar.file).is_file() for jar in jars)


def fetch(jars: Sequence[Jar], folder: Path, java: Java, state: Path) -> None:
    """The jars are in the folder afterwards, and no other version of them is."""
    ivy = next(folder.glob("ivy-*.jar"))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for trust in truststore.candidates(java, state):
            code, output = resolve(jars, ivy, java, trust, Path(scratch))
            if code == 0:
                break
            if not TRUST_FAILURE.search(output):
                sys.exit(
                    f"Ivy could not resolve {', '.join(f'{GROUP}:{j.artifact}:{j.version}' for j in jars)}"
                )
        else:
            sys.exit("PKIX path building failed with every trust store of this machine")
        truststore.remember(java, trust, state)
        install(jars, Path(scratch), folder)


def resolve(jars: Sequence[Jar], ivy: Path, java: Java, trust: list[str], scratch: Path) -> tuple[int, str]:
    """Runs Ivy once; its exit code and what it said (also printed, for the log)."""
    settings = os.environ.get("PI_IVY_SETTINGS") or str(scratch / "settings.xml")
    mirror = os.environ.get("DEFAULT_ARTIFACT_REPOSITORY")
    (scratch / "settings.xml").write_text(
        SETTINGS.format(root=f" root={quoteattr(mirror)}" if mirror else "")
    )
    rows = [
        f'    <dependency org="{GROUP}" name="{j.artifact}" rev="{j.version}" conf="default->master"/>'
        for j in jars
    ]
    (scratch / "ivy.xml").write_text(MODULE.format(dependencies="\n".join(rows)))
    command = [
        str(java.home / "bin" / "java"),
        *trust,
        *proxy_options(),
        "-cp",
        str(ivy),
        "org.apache.ivy.Main",
    ]
    command += ["-settings", settings, "-ivy", str(scratch / "ivy.xml"), "-confs", "default"]
    command += ["-retrieve", str(scratch / "[artifact]-[revision].[ext]")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout, flush=True)
    return done.returncode, done.stdout


def proxy_options() -> list[str]:
    """The proxies that pip uses, as Java options: Java does not read HTTPS_PROXY."""
    options = []
    for scheme in ("http", "https"):
        proxy = urlsplit(getproxies().get(scheme, ""))
        if proxy.hostname:
            options += [f"-D{scheme}.proxyHost={proxy.hostname}", f"-D{scheme}.proxyPort={proxy.port or 80}"]
    return options


def install(jars: Sequence[Jar], source: Path, folder: Path) -> None:
    """Moves complete files only; a jar of another version beside them would shadow its classes."""
    for jar in jars:
        if not zipfile.is_zipfile(source / jar.file):
            sys.exit(f"{jar.file} arrived damaged; remove it from the Ivy cache and run this again")
    names = {jar.file for jar in jars}
    for old in [*folder.glob("delta-spark_*.jar"), *folder.glob("delta-storage-*.jar")]:
        if old.name not in names:
            old.unlink()
    for jar in jars:
        (source / jar.file).replace(folder / jar.file)
