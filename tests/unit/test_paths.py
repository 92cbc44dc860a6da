"""Addresses of other places are no folders of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi_datasource.cli import files, status
from pi_datasource.dashboard.local import LocalBackend
from pi_datasource.delta import Lakehouse
from pi_datasource.errors import InvalidOption
from pi_datasource.paths import local

ADDRESSES = [
    "s3://bucket/lake",
    "S3A://bucket/lake",
    "abfss://box@account.dfs.core.windows.net/lake",
    "abfs://box@account/lake",
    "gs://bucket/lake",
    "wasbs://box@account/lake",
    "hdfs://host:8020/lake",
    "dbfs:/lake",
    "file:///lake",
    "file:/lake",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("kind", [str, Path])
def test_an_address_is_refused_wherever_a_folder_or_file_is_named(
    address: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = kind(address)
    scheme = address.partition(":")[0].lower()
    for use in (
        Lakehouse.in_directory,
        LocalBackend,
        lambda path: status.show(Path(path), None),  # type: ignore[arg-type]
        lambda path: files.resolve_format(Path(path) / "x.csv", None),
    ):
        with pytest.raises(
            InvalidOption, match=rf"is an address \({scheme}:\) and not a path on this machine; "
        ):
            use(given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("s3://b/lake", "mount it as a folder, or use a catalog"),
        (
            "dbfs:/lake",
            "use a volume, /Volumes/CATALOG/SCHEMA/VOLUME/..., or where DBFS is mounted, /dbfs/...",
        ),
        ("file:///lake", "give the path alone, such as /data/lake"),
    ],
)
def test_the_message_says_what_to_do_instead(address: str, advice: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        local(address, "lakehouse", "use a catalog")
    scheme = address.partition(":")[0]
    assert str(caught.value) == (
        f"lakehouse: '{address}' is an address ({scheme}:) and not a path on this machine; {advice}"
    )


@pytest.mark.parametrize(
    "path",
    [
        "lake",
        "./lake",
        "/data/lake",
        "~/lake",
        "C:/lake",
        "C:\\lake",
        "a:b",
        "/Volumes/a/b",
        "/dbfs/lake",
        "x/s3:/y",
    ],
)
def test_a_path_is_itself(path: str) -> None:
    assert local(path, "lakehouse") == Path(path)
