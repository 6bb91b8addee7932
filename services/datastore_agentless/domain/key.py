"""An SSH key pair of a cluster: no master key owns the whole network."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.secrets import Secret, generate_password


@dataclass(frozen=True)
class Key:
    """Name, passphrase, private half (OpenSSH text, encrypted with the passphrase) and public half (one line)."""

    name: str
    passphrase: Secret
    private: Secret
    public: str

    @classmethod
    def create(cls, name: str) -> Key:
        """A new ed25519 pair with a passphrase of its own.

        The passphrase is random, 190 bits: stretching it would add nothing but 0.2 s to every new connection.
        """
        passphrase = generate_password(32)
        pair = Ed25519PrivateKey.generate()
        sealing = serialization.PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(1)
        private = pair.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            sealing.build(passphrase.reveal().encode()),
        )
        public = pair.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return cls(name, passphrase, Secret(private.decode()), f"{public.decode()} {name}")
