"""Java's view of whom to trust, on a machine with a certificate authority of its own."""

import os
import re
import ssl
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from java import Java

PASSWORD = "changeit"
SYSTEM_STORES = (
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/etc/pki/java/cacerts",
)
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
CHOICE = "truststore"


def candidates(found: Java, state: Path) -> Iterator[list[str]]:
    """Java options to try in turn: those in force, the machine's stores, and what the Java knows by itself."""
    tried: list[list[str]] = []
    for choice in chain([options(found, state)], machine_stores(state), [[]]):
        if choice not in tried:
            tried.append(choice)
            yield choice


def options(found: Java, state: Path) -> list[str]:
    """The Java options in force: those that last reached the jars, else the first to try.

    A Java that was brought along knows only the public authorities, so it starts with the machine's.
    """
    choice = state / CHOICE
    if choice.exists():
        home, *chosen = choice.read_text().splitlines()
        if home == str(found.home) and all(Path(p).exists() for p in store_paths(chosen)):
            return chosen
    return next(machine_stores(state), []) if found.bundled else []


def machine_stores(state: Path) -> Iterator[list[str]]:
    """As Java options: the machine's own Java store, then one made from the bundle that Python and curl use."""
    for store in SYSTEM_STORES:
        if os.access(store, os.R_OK):
            yield [f"-Djavax.net.ssl.trustStore={store}"]
            break
    yield from made_store(state)


def remember(found: Java, chosen: list[str], state: Path) -> None:
    """The next start uses these options at once."""
    state.mkdir(parents=True, exist_ok=True)
    (state / CHOICE).write_text("\n".join([str(found.home), *chosen]) + "\n")


def store_paths(lines: list[str]) -> list[str]:
    """The stores that options name."""
    return [line.split("=", 1)[1] for line in lines if line.startswith("-Djavax.net.ssl.trustStore=")]


def made_store(state: Path) -> list[list[str]]:
    """A store made from the first bundle found; nothing if there is none."""
    named = [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")]
    default = ssl.get_default_verify_paths().cafile or ""
    bundle = next((p for p in (*named, default, *BUNDLES) if p and os.access(p, os.R_OK)), None)
    if bundle is None:
        return []
    try:
        store = write_store(Path(bundle).read_bytes(), state / "truststore.p12")
    except ImportError:
        return []
    return [
        [
            f"-Djavax.net.ssl.trustStore={store}",
            "-Djavax.net.ssl.trustStoreType=PKCS12",
            f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
        ]
    ]


def write_store(bundle: bytes, path: Path) -> Path:
    """A PKCS12 store with every certificate of the bundle that can be read."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    certificates: list[pkcs12.PKCS12Certificate] = []
    for pem in re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", bundle, re.S):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old authorities break today's rules
                certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            continue
        certificates.append(pkcs12.PKCS12Certificate(certificate, str(len(certificates)).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        pkcs12.serialize_java_truststore(certificates, BestAvailableEncryption(PASSWORD.encode()))
    )
    return path
