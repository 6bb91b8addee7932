"""The file that lists a pool of hosts, read strictly: whatever is wrong in it is said, all at once.

```yaml
private_key_file: /etc/dtrove/pool_key    # lets DTrove in to every host; a host may name its own
user: ops                                 # root, or a user who may `sudo` without a password
owner: dtrove                             # tells the leases of several DTroves on one pool apart
wipe_script: /etc/dtrove/wipe.sh          # run as root on a host before it is given back; may be left out
flavors:
  - {name: standard, vcpus: 8, ram_mb: 32768, disk_gb: 400}
hosts:
  - name: rack1-db1
    addr: 10.0.0.11
    port: 22
    host_key: ssh-ed25519 AAAA...         # from /etc/ssh/ssh_host_ed25519_key.pub: no other key is trusted
    flavor: standard
    power:                                # status says last whether it is on or off: without it nobody can fence the host
      off: ipmitool -H rack1-db1-bmc power off
      on: ipmitool -H rack1-db1-bmc power on
      status: ipmitool -H rack1-db1-bmc power status
```
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from services.provisioner.providers.base import ProviderError
from shared.contracts.values import Flavor

_NAME = validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", error="use letters, digits, dots, hyphens")
_ADDR = validate.Regexp(r"^[A-Za-z0-9][A-Za-z0-9.:_-]*\Z", error="is no address or host name")
_USER = validate.Regexp(r"^[a-z_][a-z0-9_-]{0,31}\Z", error="is no user's name")
_ABOVE_ZERO = validate.Range(min=1)


@dataclass(frozen=True)
class PoolHost:
    """One host of the pool. `power_off`, `power_on` and `power_status` are commands of this machine, empty where there are none."""

    name: str
    addr: str
    port: int
    user: str
    host_key: str
    private_key_file: Path
    flavor: str
    power_off: str = ""
    power_on: str = ""
    power_status: str = ""


@dataclass(frozen=True)
class Inventory:
    """The pool: hosts by name, the flavors that they have, and how they are given back."""

    file: Path
    owner: str
    hosts: tuple[PoolHost, ...]
    flavors: tuple[Flavor, ...]
    wipe_script: str = ""

    def host(self, name: str) -> PoolHost | None:
        """The host called `name`, if it is still listed."""
        return next((host for host in self.hosts if host.name == name), None)


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _PowerSchema(_Strict):
    off = fields.String(required=True, validate=validate.Length(min=1))
    on = fields.String(required=True, validate=validate.Length(min=1))
    status = fields.String(validate=validate.Length(min=1))


class _FlavorSchema(_Strict):
    name = fields.String(required=True, validate=_NAME)
    vcpus = fields.Integer(required=True, strict=True, validate=_ABOVE_ZERO)
    ram_mb = fields.Integer(required=True, strict=True, validate=_ABOVE_ZERO)
    disk_gb = fields.Integer(required=True, strict=True, validate=_ABOVE_ZERO)


class _HostSchema(_Strict):
    name = fields.String(required=True, validate=_NAME)
    addr = fields.String(required=True, validate=_ADDR)
    port = fields.Integer(load_default=22, strict=True, validate=validate.Range(1, 65535))
    user = fields.String(validate=_USER)
    host_key = fields.String(required=True)
    private_key_file = fields.String()
    flavor = fields.String(required=True)
    power = fields.Nested(_PowerSchema)


class _FileSchema(_Strict):
    private_key_file = fields.String()
    user = fields.String(load_default="root", validate=_USER)
    owner = fields.String(load_default="dtrove", validate=_NAME)
    wipe_script = fields.String()
    flavors = fields.List(fields.Nested(_FlavorSchema), required=True, validate=validate.Length(min=1))
    hosts = fields.List(fields.Nested(_HostSchema), required=True)


def parse_inventory(raw: Any) -> str:
    """The path of a good inventory. Raises ValueError with all that is wrong in it."""
    try:
        read_inventory(Path(str(raw)).expanduser())
    except ProviderError as error:
        raise ValueError(f"{error.message}; {error.what_to_do}") from error
    return str(Path(str(raw)).expanduser())


def read_inventory(file: Path) -> Inventory:
    """Read the file. Raises ProviderError with all that is wrong in it."""
    try:
        loaded = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(file, [f"it cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        raise _wrong(file, [f"it is no YAML: {' '.join(str(error).split())}"]) from error
    try:
        told: dict[str, Any] = _FileSchema().load(loaded if isinstance(loaded, dict) else {})
    except ValidationError as error:
        raise _wrong(file, list(_flat(error.messages))) from error
    if problems := list(_problems(told, file.parent)):
        raise _wrong(file, problems)
    return _inventory(file, told)


def _problems(told: dict[str, Any], folder: Path) -> Iterator[str]:
    """What no single field shows."""
    flavors = [flavor["name"] for flavor in told["flavors"]]
    for what, names in (("flavor", flavors), ("host", [host["name"] for host in told["hosts"]]),
                        ("address", [f"{host['addr']} port {host['port']}" for host in told["hosts"]])):  # fmt: skip
        yield from (f"{what} {name} is listed twice" for name in sorted({one for one in names if names.count(one) > 1}))
    if "wipe_script" in told and not (folder / told["wipe_script"]).is_file():
        yield f"wipe_script: there is no file {folder / told['wipe_script']}"
    for host in told["hosts"]:
        if host["flavor"] not in flavors:
            yield f"host {host['name']}: there is no flavor {host['flavor']}"
        if not _is_ed25519(host["host_key"]):
            yield f"host {host['name']}: host_key is no ed25519 key (`ssh-ed25519 AAAA...`)"
        key_file = host.get("private_key_file") or told.get("private_key_file")
        if not key_file:
            yield f"host {host['name']}: there is no private_key_file, neither its own nor one for all"
        elif not (folder / key_file).is_file():
            yield f"host {host['name']}: there is no file {folder / key_file}"


def _inventory(file: Path, told: dict[str, Any]) -> Inventory:
    # A path that is not absolute is seen from the file that names it.
    folder = file.parent.resolve()
    hosts = tuple(
        PoolHost(
            name=host["name"], addr=host["addr"], port=host["port"], user=host.get("user", told["user"]),
            host_key=" ".join(host["host_key"].split()[:2]),
            private_key_file=folder / (host.get("private_key_file") or told["private_key_file"]), flavor=host["flavor"],
            power_off=host.get("power", {}).get("off", ""), power_on=host.get("power", {}).get("on", ""),
            power_status=host.get("power", {}).get("status", ""),
        )
        for host in told["hosts"]
    )  # fmt: skip
    used = {host.flavor for host in hosts}
    flavors = tuple(Flavor(id=one["name"], **one) for one in told["flavors"] if one["name"] in used)
    wipe = (folder / told["wipe_script"]).read_text() if "wipe_script" in told else ""
    return Inventory(file, told["owner"], hosts, flavors, wipe)


def _is_ed25519(text: str) -> bool:
    kind, _, rest = text.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split()[0] if rest.split() else "", validate=True)
    except (binascii.Error, ValueError):
        return False
    # Source: RFC 8709 and RFC 4253: a length-prefixed name, then the length-prefixed 32 bytes of the key.
    return kind == "ssh-ed25519" and re.fullmatch(rb"\0\0\0\x0bssh-ed25519\0\0\0\x20.{32}", blob, re.DOTALL) is not None


def _flat(messages: Any, path: str = "") -> Iterator[str]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield f"{path}: {' '.join(str(one) for one in messages)}"


def _wrong(file: Path, problems: list[str]) -> ProviderError:
    return ProviderError(f"the list of hosts {file} is not right: {'; '.join(problems)}",
                         what_to_do="mend that file; docs/guides/static-hosts.md shows one")  # fmt: skip
