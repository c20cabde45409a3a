"""Certificates for the containers of Compose, one folder each: `python certificates.py FOLDER NAME...`.

The authority and its key are kept in FOLDER/authority; FOLDER/NAME gets ca.pem, cert.pem and key.pem, for a
server and client called NAME, and bundle.pem with the last two. Every run signs anew, for a year; what
runs takes that at once. For an authority of your own put ca.pem and key.pem into FOLDER/authority.
"""

import ipaddress
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
DAYS = 365


def main(folder: Path, names: Sequence[str]) -> None:
    """Sign one for each name."""
    authority, key = _authority(folder / "authority")
    for name in names:
        own = ec.generate_private_key(ec.SECP256R1())
        pem = _pem(_signed(name, own, authority, key))
        secret = _secret(own)
        place = folder / name
        _write(place / "ca.pem", _pem(authority))
        _write(place / "key.pem", secret)
        _write(place / "cert.pem", pem)
        _write(place / "bundle.pem", pem + secret)


def _authority(place: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The one that is kept, or a new one."""
    if not (place / "ca.pem").exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Babelcast Compose")])
        made = (
            _builder(name, name, key, days=AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(place / "key.pem", _secret(key))
        _write(place / "ca.pem", _pem(made))
    kept = serialization.load_pem_private_key((place / "key.pem").read_bytes(), password=None)
    if not isinstance(kept, ec.EllipticCurvePrivateKey):
        sys.exit("the authority's key must be one of an elliptic curve")
    return x509.load_pem_x509_certificate((place / "ca.pem").read_bytes()), kept


def _signed(
    name: str, own: ec.EllipticCurvePrivateKey, authority: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    known_as: list[x509.GeneralName] = [x509.DNSName(name), x509.DNSName("localhost")]
    known_as += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        _builder(subject, authority.subject, own, days=DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(known_as), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _secret(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, readable by its owner."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as writing:
        writing.write(content)
    draft.replace(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
