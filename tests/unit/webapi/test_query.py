"""The query of a URL is what the standard library makes of it, plain values or not."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.webapi.query import query

_TEXTS = st.text(alphabet="aZ9_-.~ /+&=%é", max_size=6)
_VALUES = st.one_of(st.none(), st.integers(), _TEXTS, st.lists(_TEXTS, max_size=4))


@given(st.dictionaries(st.sampled_from(["webId", "startTime", "maxCount", "nameFilter"]), _VALUES))
def test_a_query_is_that_of_the_standard_library(params: dict[str, object]) -> None:
    told = {name: value for name, value in params.items() if value is not None}
    assert query(params) == urlencode(told, quote_via=quote, doseq=True)


def test_a_list_of_plain_values_is_repeated() -> None:
    assert query({"a": None, "webId": ["P1-x", "P2_y"], "b": []}) == "webId=P1-x&webId=P2_y"
