"""WebID 2.0, checked against the worked example and the real captures of the reference."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.plant import webid

GUID = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
POINT_IDS = {
    "F": "F1DPW62PD8vZn0ahZXCGdyiVDgKgAAAAUElTUlYwMVxGSUMxMDEuUFY",
    "I": "I1DPW62PD8vZn0ahZXCGdyiVDgKgAAAA",
    "P": "P1DPUElTUlYwMVxGSUMxMDEuUFY",
    "D": "D1DPKgAAAA",
    "L": "L1DPKgAAAA",
}


@pytest.mark.parametrize(("kind", "text"), POINT_IDS.items())
def test_point_ids_are_those_of_the_worked_example(kind: str, text: str) -> None:
    assert webid.encode(kind, webid.POINT, GUID, 42, "\\\\PISRV01\\fic101.pv") == text


@pytest.mark.parametrize(("kind", "text"), POINT_IDS.items())
def test_point_ids_decode_to_what_they_hold(kind: str, text: str) -> None:
    read = webid.decode(text)
    assert read.server == (GUID if kind in "FI" else None)
    assert read.object_id == (42 if kind in "FILD" else None)
    assert read.name == ("PISRV01\\FIC101.PV" if kind in "FP" else None)


def test_data_server_id_is_that_of_the_worked_example() -> None:
    text = "F1DSW62PD8vZn0ahZXCGdyiVDgUElTUlYwMQ"
    assert webid.encode("F", webid.DATA_SERVER, GUID, None, "PISRV01") == text
    assert webid.decode(text) == webid.WebId("F", "DS", GUID, None, "PISRV01")


def test_a_point_id_captured_from_a_real_server_decodes() -> None:
    read = webid.decode("I1DPW6Wlk0_Utku9vWTvxg45oA0egAAA")
    assert (read.kind, read.marker, read.object_id) == ("I", "DP", 59_601)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "F",
        "F1DP",
        "X1DPKgAAAA",
        "F2DPW62PD8vZn0ahZXCGdyiVDgKgAAAAUElTUlYwMQ",
        "F1ZZW62PD8vZn0ahZXCGdyiVDgKgAAAA",
        "F1DPW62PD8vZn0ahZXCGdyiVDgKgAAAA",
        "I1DPW62PD8vZn0ahZXCGdyiVDgKgAAAAU",
        "I1DPW62PD8vZn0ahZXCGdyiVDg",
        "I1DPW62PD8vZn0ahZXCGdyiVDgKgAA",
        "D1DPKgAAAA=",
        "D1DPKg AAA",
        "P1DP____",
        "P1DPUElTUlYwMVxGSUMxMDEuUFYé",
    ],
)
def test_malformed_ids_are_refused(text: str) -> None:
    with pytest.raises(webid.MalformedWebId):
        webid.decode(text)


@settings(max_examples=100, deadline=None, database=None)
@given(
    st.sampled_from("FILDP"),
    st.sampled_from(["DP", "DS", "MSS", "MVS"]),
    st.uuids(),
    st.integers(-(2**31), 2**31 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_decoding_gives_back_what_was_encoded(
    kind: str, marker: str, guid: uuid.UUID, number: int, name: str
) -> None:
    object_id = {"DP": number, "DS": None}.get(marker, guid)
    read = webid.decode(webid.encode(kind, marker, guid, object_id, f"\\\\{name}"))
    assert (read.kind, read.marker) == (kind, marker)
    if kind in "FI":
        assert read.server == guid
    if kind in "FP":
        assert read.name == name.upper()
    if kind in "LD" or (kind in "FI" and marker != "DS"):
        assert read.object_id == (guid if marker != "DP" else number)
