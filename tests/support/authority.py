"""A certificate authority to throw away: makes certificates for servers and for clients of a test."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PRIVATE = 0o600


@dataclass
class Authority:
    """Its own certificate is `certificate`, a file in `directory`, as are all that it makes."""

    directory: Path
    name: str = "authority"
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = _builder(self.name, self.name, self._key.public_key())
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        signed = made.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = self.directory / f"{self.name}.pem"
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: str, days: float = 1.0) -> tuple[Path, Path]:
        """A certificate for these names and addresses, and its key; both are new each time."""
        key = ec.generate_private_key(ec.SECP256R1())
        found = x509.SubjectAlternativeName([_name(one) for one in names])
        made = _builder(names[0], self.name, key.public_key(), days).add_extension(found, critical=False)
        signed = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).sign(
            self._key, hashes.SHA256()
        )
        stem = f"{self.name}-{names[0]}"
        place, secret = self.directory / f"{stem}.pem", self.directory / f"{stem}.key"
        place.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as file:
            file.write(text)
        return place, secret


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey, days: float = 1.0) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        public_key=key, serial_number=x509.random_serial_number(), not_valid_before=now - timedelta(days=2),
        not_valid_after=now + timedelta(days=days),
    )  # fmt: skip


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
