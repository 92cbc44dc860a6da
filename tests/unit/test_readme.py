"""The README says what the code does."""

from pathlib import Path

from pi_datasource.options import documentation

README = Path(__file__).parent.parent.parent / "README.md"


def test_the_option_table_of_the_readme_is_the_one_of_the_code() -> None:
    _, _, rest = README.read_text(encoding="utf-8").partition("<!-- options -->\n")
    table, end, _ = rest.partition("<!-- /options -->")
    assert end
    assert table.strip() == documentation.markdown()


def test_every_cell_of_the_option_table_stays_one_cell() -> None:
    head, rule, *rows = documentation.markdown().splitlines()
    assert (head, rule) == ("| option | default | meaning |", "|---|---|---|")
    assert all(row.replace("\\|", "").count("|") == 4 for row in rows)
