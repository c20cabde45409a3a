"""An authority that signs certificates on the spot, for tests of TLS."""

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from babelcast.rpc.tls_files import Paths

ALTERNATIVES = {"127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate with its key, in PEM."""

    cert: bytes
    key: bytes

    def write(self, directory: Path, *, ca: bytes) -> Paths:
        """Put it into files, each replaced at once, key last."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in (("ca.pem", ca), ("cert.pem", self.cert), ("key.pem", self.key)):
            fresh = directory / f".{name}"
            fresh.write_bytes(content)
            fresh.chmod(0o600)
            os.replace(fresh, directory / name)  # noqa: PTH105 - the same as rename, and says what it does
        return Paths(
            cert=str(directory / "cert.pem"), key=str(directory / "key.pem"), ca=str(directory / "ca.pem")
        )


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str = "test authority") -> Self:
        """A new one, known to nobody."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        cert = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(cert, key)

    @property
    def pem(self) -> bytes:
        """What those who trust it have."""
        return self.cert.public_bytes(Encoding.PEM)

    def sign(self, *names: str, common_name: str = "", ends: timedelta = timedelta(days=20)) -> Made:
        """A certificate for names or addresses, which ends so long from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        alternatives: list[x509.GeneralName] = []
        for name in names:
            if name in ALTERNATIVES:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            elif "://" in name:
                alternatives.append(x509.UniformResourceIdentifier(name))
            else:
                alternatives.append(x509.DNSName(name))
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or names[0])]))
            .issuer_name(self.cert.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + ends) - timedelta(days=1))
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        cert = builder.sign(self.key, hashes.SHA256())
        return Made(
            cert.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
