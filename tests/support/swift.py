"""A Swift on loopback, with the Keystone that lets in, which stumbles as told before it is asked.

It knows what DTrove speaks of Swift, and holds it against the rules of Swift's own: tokens, URLs with their signatures, method and
end, large objects whose segments are looked at, ranges, listings by pages.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

ACCOUNT, USER, PASSWORD = "AUTH_project", "dtrove", "swift-canary"
CONTAINER_KEY, ACCOUNT_KEY = "X-Container-Meta-Temp-Url-Key", "X-Account-Meta-Temp-Url-Key"
NOT_THERE = "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"


@dataclass
class Object:
    """What is kept under a name; `segments` are those of a large object."""

    body: bytes
    segments: list[dict[str, Any]] | None = None

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body).hexdigest()


@dataclass
class Fault:
    """What the next `times` requests of `method` for something whose path has `part` in it are answered with."""

    method: str
    status: int
    body: str
    part: str
    times: int
    struck: int = 0


@dataclass
class Container:
    objects: dict[str, Object] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        return


class Swift:
    """A server on loopback. `ahead` is how many seconds its clock is; `page` how many names a listing has at most."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.account: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.ahead, self.page, self.lags = 0, 2, set[str]()
        self._lock, self._tokens = threading.RLock(), set[str]()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="swift")
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def objects(self) -> dict[str, Object]:
        """All of all containers."""
        return {name: one for container in self.containers.values() for name, one in container.objects.items()}

    def options(self, port: int = 0) -> dict[str, str]:
        """Who DTrove is there; `port` is where the catalogue says that Swift is, where not here."""
        self._said = port or self.port
        return {"OS_AUTH_URL": f"http://127.0.0.1:{self.port}/v3", "OS_USERNAME": USER, "OS_PASSWORD": PASSWORD,
                "OS_PROJECT_NAME": "project"}  # fmt: skip

    def order(self, method: str, status: int, body: str = "", part: str = "/part-", times: int = 1) -> Fault:
        """Order a fault; it tells how often it has struck."""
        self.faults.append(Fault(method, status, body, part, times))
        return self.faults[-1]

    def forget_tokens(self) -> None:
        """As after a restart of Keystone with other keys."""
        self._tokens.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        body = request.get_data()
        with self._lock:
            answer = self._fate(request) or self._about(request, body)
        return answer(environ, start)

    def _fate(self, request: Request) -> Response | None:
        for one in self.faults:
            if one.struck < one.times and one.method == request.method and one.part in request.path:
                one.struck += 1
                return Response(one.body, one.status)
        return None

    def _about(self, request: Request, body: bytes) -> Response:
        if request.path.startswith("/v3"):
            return self._keystone(request, body)
        _, _, account, container, name = (request.path.rstrip("/") + 4 * "/").split("/", 4)
        name = name.rstrip("/")
        if account != ACCOUNT or not self._lets_in(request, container):
            return Response("401 Unauthorized: Temp URL invalid\n", 401)
        if not container:
            return Response(status=204, headers=self.account)
        if not name:
            return self._container(request, container)
        if container not in self.containers:
            return Response(NOT_THERE, 404)
        return self._object(request, self.containers[container].objects, name, body)

    def _keystone(self, request: Request, body: bytes) -> Response:
        here = f"http://127.0.0.1:{self.port}/v3"
        if request.method == "GET":
            links = [{"rel": "self", "href": here}]
            return _json({"version": {"id": "v3.14", "status": "stable", "links": links}}, 200)
        user = json.loads(body)["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != (USER, PASSWORD):
            return _json({"error": {"message": "The request you have made requires authentication.", "code": 401}}, 401)
        token = f"token-{len(self._tokens)}-{time.monotonic_ns()}"
        self._tokens.add(token)
        endpoint = {"interface": "public", "region": "here", "region_id": "here", "id": "1",
                    "url": f"http://127.0.0.1:{self._said}/v1/{ACCOUNT}"}  # fmt: skip
        told = {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "user": {"id": "u", "name": USER},
                "catalog": [{"type": "object-store", "name": "swift", "id": "1", "endpoints": [endpoint]}]}  # fmt: skip
        return _json({"token": told}, 201, {"X-Subject-Token": token})

    def _lets_in(self, request: Request, container: str) -> bool:
        """By a token, or by a URL that was signed for this. Source: Swift's middleware `tempurl`."""
        if request.headers.get("X-Auth-Token") in self._tokens:
            return True
        expires = int(request.args.get("temp_url_expires", 0))
        if expires < time.time() + self.ahead or container not in self.containers:
            return False
        keys = (self.containers[container].meta.get(CONTAINER_KEY), self.account.get(ACCOUNT_KEY))
        words = f"{request.method}\n{expires}\n{request.path}".encode()
        signed = [hmac.new(key.encode(), words, hashlib.sha256).hexdigest() for key in keys if key]
        return request.args.get("temp_url_sig") in signed

    def _container(self, request: Request, name: str) -> Response:
        if request.method == "PUT":
            self.containers.setdefault(name, Container())
            return Response(status=201)
        if name not in self.containers:
            return Response(NOT_THERE, 404)
        kept = self.containers[name]
        if request.method == "POST":
            kept.meta |= {key: value for key, value in request.headers.items() if key.startswith("X-Container-Meta-")}
            return Response(status=204)
        if request.method == "HEAD":
            return Response(status=204, headers=kept.meta)
        prefix, marker = request.args.get("prefix", ""), request.args.get("marker", "")
        names = [
            one for one in sorted(kept.objects) if one.startswith(prefix) and one > marker and one not in self.lags
        ]
        return _json(
            [
                {"name": one, "bytes": len(kept.objects[one].body), "hash": kept.objects[one].etag}
                for one in names[: self.page]
            ],
            200,
        )

    def _object(self, request: Request, objects: dict[str, Object], name: str, body: bytes) -> Response:
        if request.method == "PUT":
            if request.args.get("multipart-manifest") == "put":
                return self._large(objects, name, json.loads(body))
            objects[name] = Object(body)
            return Response(status=201, headers={"Etag": objects[name].etag})
        if name not in objects:
            return Response(NOT_THERE, 404)
        if request.method == "DELETE":
            del objects[name]
            return Response(status=204)
        return self._given(request, objects[name])

    def _large(self, objects: dict[str, Object], name: str, listed: list[dict[str, Any]]) -> Response:
        """Source: Swift's middleware `slo`."""
        wrong = [one["path"] for one in listed if not self._is_there(one["path"], one["etag"], one["size_bytes"])]
        if wrong or not 0 < len(listed) <= 1000:
            return Response(f"Errors:\n{', '.join(wrong)}", 400)
        segments = [{"name": one["path"], "hash": one["etag"], "bytes": one["size_bytes"]} for one in listed]
        objects[name] = Object(json.dumps(segments).encode(), segments)
        return Response(status=201, headers={"Etag": objects[name].etag})

    def _is_there(self, path: str, etag: str, size: int) -> bool:
        found = self._at(path)
        return found is not None and (found.etag, len(found.body)) == (etag, size)

    def _at(self, path: str) -> Object | None:
        _, container, name = path.split("/", 2)
        return self.containers[container].objects.get(name)

    def _given(self, request: Request, found: Object) -> Response:
        whole = found.body
        if found.segments is not None and request.args.get("multipart-manifest") != "get":
            if not all(self._is_there(one["name"], one["hash"], one["bytes"]) for one in found.segments):
                return Response("<html><h1>Conflict</h1></html>", 409)
            whole = b"".join(there.body for one in found.segments if (there := self._at(one["name"])))
        headers = {"Etag": found.etag}
        if "temp_url_sig" in request.args:
            name = request.args.get("filename", request.path.rpartition("/")[2])
            headers["Content-Disposition"] = f"attachment; filename=\"{quote(name)}\"; filename*=UTF-8''{quote(name)}"
        if request.range is None:
            return Response(whole, 200, headers)
        begin, end = request.range.range_for_length(len(whole)) or (0, 0)
        return Response(whole[begin:end], 206, headers)


def _json(told: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(told), status, headers, content_type="application/json")
