"""Signing in: tokens from the token endpoint, the challenges of Kerberos and NTLM, https and client certificates."""

import base64
import signal
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
import requests

from mock_server import Faults, Oidc, Plant, running
from mock_server.__main__ import _parser, _settings, main
from mock_server.server.tls import Authority

ROOT = Path(__file__).resolve().parents[3]
FORM = {"grant_type": "client_credentials", "client_id": "spark", "client_secret": "s3cret"}
PLANT = Plant(tags=4, plants=1)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_750_000_000.0

    def __call__(self) -> float:
        return self.seconds


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_client_finds_its_way_to_a_token_that_expires() -> None:
    clock = Clock()
    with running(PLANT, oidc=Oidc("spark", "s3cret", 60, clock)) as url, requests.Session() as http:
        refused = http.get(f"{url}/system", timeout=10)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        document = http.get(f"{url}/.well-known/openid-configuration", timeout=10).json()
        assert (
            http.get(f"{document['issuer']}/.well-known/openid-configuration", timeout=10).json() == document
        )
        grant = http.post(document["token_endpoint"], data={**FORM, "scope": "system"}, timeout=10)
        assert grant.headers["Cache-Control"] == "no-store"
        assert {key: grant.json()[key] for key in ("token_type", "expires_in", "scope")} == {
            "token_type": "Bearer",
            "expires_in": 60,
            "scope": "system",
        }
        headers = bearer(grant.json()["access_token"])
        clock.seconds += 59
        assert http.get(f"{url}/system", headers=headers, timeout=10).status_code == 200
        clock.seconds += 1
        expired = http.get(f"{url}/system", headers=headers, timeout=10)
        assert expired.status_code == 401
        assert expired.headers["WWW-Authenticate"] == (
            'Bearer error="invalid_token", error_description="The token expired"'
        )
        again = http.post(document["token_endpoint"], data=FORM, timeout=10).json()["access_token"]
        assert http.get(f"{url}/system", headers=bearer(again), timeout=10).status_code == 200


def test_the_client_may_sign_in_at_the_token_endpoint_with_basic() -> None:
    with running(PLANT, oidc=Oidc("a b", "s:ü")) as url:
        endpoint = url.replace("/piwebapi", "/identitymanager/connect/token")
        form = {"grant_type": "client_credentials"}
        reply = requests.post(endpoint, data=form, auth=("a%20b", "s%3A%C3%BC"), timeout=10)
        assert reply.status_code == 200
        wrong = requests.post(endpoint, data=form, auth=("a%20b", "x"), timeout=10)
        assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
        assert wrong.headers["WWW-Authenticate"] == "Basic"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"scope": "system admin"}, "invalid_scope"),
    ],
)
def test_other_requests_for_tokens_are_refused(change: dict[str, str], error: str) -> None:
    with running(PLANT, oidc=Oidc("spark", "s3cret")) as url:
        endpoint = url.replace("/piwebapi", "/identitymanager/connect/token")
        reply = requests.post(endpoint, data={**FORM, **change}, timeout=10)
        assert (reply.status_code, reply.json()) == (400, {"error": error})


def test_tokens_of_others_are_refused() -> None:
    ours, theirs = Oidc("spark", "s3cret"), Oidc("spark", "s3cret")
    foreign = theirs.grant(FORM, None, "http://h")["access_token"]
    own = ours.grant(FORM, None, "http://h")["access_token"]
    head, claims, signature = own.split(".")
    longer = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b'"exp":1', b'"exp":9'))
    forged = f"{head}.{longer.rstrip(b'=').decode()}.{signature}"
    with running(PLANT, oidc=ours) as url, requests.Session() as http:
        assert http.get(f"{url}/system", headers=bearer(own), timeout=10).status_code == 200
        for token in (foreign, forged, "", ".", "a.b.c", "é", own[:-1], f"{head}.{claims}."):
            reply = http.get(
                f"{url}/system", headers={"Authorization": f"Bearer {token}".encode()}, timeout=10
            )
            assert reply.status_code == 401
            assert "invalid" in reply.headers["WWW-Authenticate"]
        ours.revoke()
        assert http.get(f"{url}/system", headers=bearer(own), timeout=10).status_code == 401


def test_without_a_provider_there_is_no_token_endpoint() -> None:
    with running(PLANT) as url, requests.Session() as http:
        assert http.get(f"{url}/.well-known/openid-configuration", timeout=10).status_code == 404
        endpoint = url.replace("/piwebapi", "/identitymanager/connect/token")
        assert http.post(endpoint, data=FORM, timeout=10).status_code == 404


def test_a_token_must_live() -> None:
    with pytest.raises(ValueError, match="at least a second"):
        Oidc("a", "b", 0)


def test_kerberos_is_asked_for_and_never_believed() -> None:
    with running(PLANT, auth="kerberos") as url, requests.Session() as http:
        for headers in ({}, {"Authorization": "Negotiate YIIabc=="}, {"Authorization": "Basic YTpi"}):
            reply = http.get(f"{url}/system", headers=headers, timeout=10)
            assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, "Negotiate")
            assert reply.json() == {"Message": "Authorization has been denied for this request."}


def test_kerberos_beside_basic_lets_basic_in() -> None:
    with running(PLANT, auth="kerberos", user="u", password="p") as url, requests.Session() as http:
        challenge = http.get(f"{url}/system", timeout=10).headers["WWW-Authenticate"]
        assert challenge.startswith("Negotiate, Basic ")
        assert http.get(f"{url}/system", auth=("u", "p"), timeout=10).status_code == 200


def test_ntlm_goes_as_far_as_its_challenge() -> None:
    first = base64.b64encode(b"NTLMSSP\0" + struct.pack("<II", 1, 0xA2088207) + bytes(16)).decode()
    third = base64.b64encode(b"NTLMSSP\0" + struct.pack("<I", 3) + bytes(60)).decode()
    with running(PLANT, auth="ntlm") as url, requests.Session() as http:
        assert http.get(f"{url}/system", timeout=10).headers["WWW-Authenticate"] == "NTLM"
        reply = http.get(f"{url}/system", headers={"Authorization": f"NTLM {first}"}, timeout=10)
        scheme, _, message = reply.headers["WWW-Authenticate"].partition(" ")
        second = base64.b64decode(message)
        assert (reply.status_code, scheme, second[:8]) == (401, "NTLM", b"NTLMSSP\0")
        kind, length, _, offset = struct.unpack("<IHHI", second[8:20])
        assert (kind, second[offset : offset + length].decode("utf-16-le")) == (2, "PISIM")
        refused = http.get(f"{url}/system", headers={"Authorization": f"NTLM {third}"}, timeout=10)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "NTLM")
        for odd in ("", "!!", "YWJj"):
            reply = http.get(f"{url}/system", headers={"Authorization": f"NTLM {odd}"}, timeout=10)
            assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, "NTLM")


def test_another_challenge_does_not_exist() -> None:
    with pytest.raises(ValueError, match="kerberos, ntlm"), running(PLANT, auth="digest"):
        pass


def test_https_is_trusted_by_those_who_know_the_authority(tmp_path: Path) -> None:
    ca, another = tmp_path / "ca.pem", tmp_path / "another.pem"
    another.write_bytes(Authority().pem)
    with running(PLANT, tls=True, tls_ca=ca) as url, requests.Session() as http:
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            http.get(url, verify=str(another), timeout=10)
        assert url.startswith("https://127.0.0.1:")
        home = http.get(url, verify=str(ca), timeout=10)
        assert home.json()["Links"]["Self"].startswith(url)
        by_name = url.replace("127.0.0.1", "localhost")
        assert http.get(by_name, verify=str(ca), timeout=10).status_code == 200


def test_https_with_client_certificates(tmp_path: Path) -> None:
    ca, trusted = tmp_path / "ca.pem", tmp_path / "clients.pem"
    authority, stranger = Authority("clients"), Authority("strangers")
    trusted.write_bytes(authority.pem)
    pair, other = ((tmp_path / f"{n}.pem", tmp_path / f"{n}.key") for n in ("reader", "other"))
    authority.issue_client("reader").write(*pair)
    stranger.issue_client("reader").write(*other)
    assert pair[1].stat().st_mode & 0o077 == 0
    with running(PLANT, tls=True, tls_ca=ca, tls_client_ca=trusted) as url:
        files = tuple(str(path) for path in pair)
        assert requests.get(url, verify=str(ca), cert=files, timeout=10).status_code == 200
        with pytest.raises(requests.RequestException):
            requests.get(url, verify=str(ca), timeout=10)
        with pytest.raises(requests.RequestException):
            requests.get(url, verify=str(ca), cert=tuple(str(path) for path in other), timeout=10)


def test_certificates_hold_up_to_strict_checks() -> None:
    authority = Authority()
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert len(context.get_ca_certs()) == 1


def test_faults_meet_clients_of_https_too(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    for fault in ("reset", "close", "cut", "cut-chunked"):
        with running(PLANT, tls=True, tls_ca=ca, faults=Faults(1, {fault: 1.0}, tries=1)) as url:
            with requests.Session() as http, pytest.raises(requests.RequestException):
                http.get(url, verify=str(ca), timeout=10)
            assert requests.get(url, verify=str(ca), timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tls-client-ca", "nowhere/ca.pem"], "nowhere/ca.pem"),
        (["--tls-client-ca", "README.md"], "README.md"),
        (["--tls", "--tls-ca", "nowhere/ca.pem"], "nowhere/ca.pem"),
        (["--faults", "x"], "SEED"),
        (["--faults", "7:quake=1"], "there are: slow"),
        (["--fault-point", "NOPE=500"], "'NOPE', which does not exist"),
        (["--stale", "-1"], "age of a cache"),
    ],
)
def test_flags_that_make_no_sense_are_one_clear_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert main(["--port", "0", *arguments]) == 1
    finally:
        for number, handler in handlers.items():  # the program takes them over
            signal.signal(number, handler)
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert words in said.err


def test_the_flags_reach_the_server(tmp_path: Path) -> None:
    flags = (
        "--client-id spark --client-secret s --token-lifetime 60 --auth ntlm --rate-limit 9 --max-url iis:99 --tls "
        f"--tls-ca {tmp_path}/ca --faults 7:cut=0.1 --fault-tries 3 --fault-point A=B=500 --skew -90 --stale 300 --admin"
    )
    settings: dict[str, Any] = _settings(_parser().parse_args(flags.split()))
    faults, oidc = settings.pop("faults"), settings.pop("oidc")
    assert (faults.seed, faults.rates, faults.tries, faults.points) == (7, {"cut": 0.1}, 3, {"A=B": "500"})
    assert oidc.lifetime_s == 60
    shown = {
        name: str(settings[name])
        for name in ("auth", "rate_limit", "max_url", "tls", "skew", "stale", "admin")
    }
    assert shown == {
        "auth": "ntlm",
        "rate_limit": "9",
        "max_url": "iis:99",
        "tls": "True",
        "skew": "-1 day, 23:58:30",
        "stale": "0:05:00",
        "admin": "True",
    }
