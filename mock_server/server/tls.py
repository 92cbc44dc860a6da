"""TLS certificates, issued at start by an authority of this server alone."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = timedelta(days=30)
_OTHER_USAGES = (
    *("content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "encipher_only", "decipher_only"),
)
_MARGIN = timedelta(hours=1)  # for clocks that are behind


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, each as PEM."""

    certificate: bytes
    key: bytes

    def write(self, certificate: Path, key: Path) -> None:
        """Write both to these files, the key readable by its owner only."""
        certificate.write_bytes(self.certificate)
        key.touch(mode=0o600)
        key.write_bytes(self.key)


class Authority:
    """Issues certificates for servers and clients; `pem` is the authority's own certificate."""

    def __init__(self, name: str = "PI Web API simulator") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"{name} authority")
        usages = dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign"), True)
        usage = x509.KeyUsage(**dict.fromkeys(_OTHER_USAGES, False), **usages)
        certificate = (
            self._draft(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def issue_server(self, *hosts: str) -> Pair:
        """A certificate for a server with these names and addresses."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._leaf(hosts[0], key, ExtendedKeyUsageOID.SERVER_AUTH).add_extension(names, critical=False)
        return self._signed(leaf, key)

    def issue_client(self, name: str) -> Pair:
        """A certificate that authenticates a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._signed(self._leaf(name, key, ExtendedKeyUsageOID.CLIENT_AUTH), key)

    def _leaf(
        self, name: str, key: ec.EllipticCurvePrivateKey, use: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            self._draft(_name(name), key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(issuer_key, critical=False)
        )

    def _draft(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _MARGIN)
            .not_valid_after(now + _VALID)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _signed(self, draft: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Pair:
        return Pair(
            draft.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
