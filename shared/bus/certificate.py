"""The certificate that a server shows, taken anew once its files were renewed."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from shared.errors import Failure

log = logging.getLogger(__name__)


class Certificate:
    """A certificate with its chain, and its key, as PEM files.

    Files that a renewal has changed serve the next connection; while they do not fit together (one of them is written, the
    other not yet) the last good ones go on.
    """

    def __init__(self, certificate: str, key: str) -> None:
        self._files = (Path(certificate), Path(key))
        self._seen: tuple[int, ...] = ()
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """What a connection is wrapped with. Raises Failure where there was never a good certificate."""
        try:
            stats = [file.stat() for file in self._files]
            seen = tuple(number for stat in stats for number in (stat.st_mtime_ns, stat.st_ino, stat.st_size))
            if self._context is None or seen != self._seen:
                self._context, self._seen = _load(*self._files), seen
        except (OSError, ValueError) as error:
            if self._context is None:
                raise Failure(
                    f"the certificate {self._files[0]} cannot be used: {error}", what_to_do="see that it and its key are PEM, "
                    "without a passphrase, and belong together"
                ) from error  # fmt: skip
            log.warning("the certificate cannot be read again (%s); going on with the last one", error)
        return self._context


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without `password` OpenSSL would ask for a passphrase at the terminal, and wait.
    context.load_cert_chain(certificate, key, password=lambda: b"")
    return context
