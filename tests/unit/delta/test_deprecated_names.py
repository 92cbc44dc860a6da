"""Former public names still work, with a warning that says the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi_datasource import delta


@pytest.mark.parametrize(("old", "new"), [("upkeep", "maintain"), ("Filled", "BackfillProgress")])
def test_a_former_name_of_the_package_is_the_new_object(old: str, new: str) -> None:
    message = rf"^pi_datasource\.delta\.{old} is deprecated; use pi_datasource\.delta\.{new}$"
    with pytest.warns(DeprecationWarning, match=message) as caught:
        found = getattr(delta, old)
    assert found is getattr(delta, new)
    assert [warning.filename for warning in caught] == [__file__]


def test_an_import_of_a_former_name_warns() -> None:
    with pytest.warns(DeprecationWarning, match=r"use pi_datasource\.delta\.maintain"):
        from pi_datasource.delta import upkeep
    assert upkeep is delta.maintain


def test_a_name_that_never_existed_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"'pi_datasource\.delta' has no attribute 'preen'"):
        delta.preen  # noqa: B018


def test_the_former_name_of_the_audit_table_is_its_new_one(tmp_path: Path) -> None:
    lakehouse = delta.Lakehouse.in_directory(tmp_path)
    with pytest.warns(DeprecationWarning, match=r"use Lakehouse\.audit"):
        assert lakehouse.ledger == lakehouse.audit == "`checkpoints`.`pi_ingestion_checkpoint`"
