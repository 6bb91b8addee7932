"""An S3 on loopback: moto's, which stumbles as told before it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import boto3
import requests
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "backups"
_WORDS = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"


@dataclass
class Fault:
    """What the next `times` requests of `method` that ask for a part are answered with."""

    method: str
    status: str
    code: str
    message: str = "as the test has ordered"
    times: int = 1
    struck: int = 0


class S3:
    """A server with one bucket at `host`; `client` is for looking behind the scenes."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.faults: list[Fault] = []
        self._lock, self._app = threading.Lock(), DomainDispatcherApplication(create_backend_app)
        self._server = make_server(host, 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="s3")
        self._thread.start()
        self.client: Any = boto3.session.Session().client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="one", aws_secret_access_key="two"
        )
        self.client.create_bucket(Bucket=BUCKET)

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def order(self, method: str, status: str, code: str, **more: Any) -> Fault:
        """Order a fault; it tells how often it has struck."""
        self.faults.append(Fault(method, status, code, **more))
        return self.faults[-1]

    def kept(self) -> list[str]:
        """Every object."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def uploads(self) -> list[str]:
        """Every upload that was begun and neither completed nor abandoned."""
        return [one["UploadId"] for one in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]

    def close(self) -> None:
        """Stop, and forget all: moto remembers for its whole process."""
        requests.post(f"{self.url}/moto-api/reset", timeout=30)
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        fault = self._fate(environ)
        if fault is None:
            return self._app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        words = _WORDS.format(code=fault.code, message=fault.message).encode()
        start(fault.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(words)))])
        return [words]

    def _fate(self, environ: dict[str, Any]) -> Fault | None:
        """A part is asked for by a number, or by a range of bytes."""
        if "partNumber=" not in environ["QUERY_STRING"] and "HTTP_RANGE" not in environ:
            return None
        with self._lock:
            for one in self.faults:
                if one.method == environ["REQUEST_METHOD"] and one.struck < one.times:
                    one.struck += 1
                    return one
        return None
