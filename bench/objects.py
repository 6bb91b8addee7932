"""An object store on this machine, which hosts reach as well: moto's S3, with one bucket."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from moto.server import ThreadedMotoServer

BUCKET, KEYS = "backups", {"DTROVE_S3_ACCESS_KEY_ID": "one", "DTROVE_S3_SECRET_ACCESS_KEY": "two"}


@contextmanager
def objects() -> Iterator[str]:
    """Its URL; it forgets all at the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        # Nothing is sent: this is the address that others see.
        asked.connect(("198.51.100.1", 9))
        own = asked.getsockname()[0]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=own, port=0, verbose=False)
    server.start()
    try:
        url = f"http://{own}:{server.get_host_and_port()[1]}"
        requests.put(f"{url}/{BUCKET}", timeout=30).raise_for_status()
        yield url
    finally:
        server.stop()
