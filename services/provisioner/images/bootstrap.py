"""Makes the host image's file system with mmdebstrap, from the machine's own apt sources and without any registry."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.provisioner.images.sources import AptSource, apt_sources, mirror_of
from services.provisioner.providers.base import ProviderError

HERE = Path(__file__).parent
SUITE = "bookworm"
BUILD_SECONDS = 900
LOOK_SECONDS, STOP_SECONDS = 0.3, 30.0
# By this word a process is known as one of these builds.
MARK = "dtrove-host-image"
# Files of the machine that let apt inside a host fetch what apt outside can.
APT_FILES = ("/etc/apt/apt.conf.d/*proxy*", "/etc/ssl/certs/ca-certificates.crt")

# What mmdebstrap says as it goes, with the percent of the whole image that is then done.
PHASES = (
    ("I: running apt-get update", 3, "reading package lists"),
    ("I: downloading packages with apt", 8, "downloading packages"),
    ("I: extracting archives", 14, "unpacking the base system"),
    ("I: installing essential packages", 35, "installing the base system"),
    ("I: installing remaining packages", 50, "installing sshd and its friends"),
    ("I: running --customize-hook", 72, "setting it up"),
    ("I: creating tarball", 76, "packing it"),
)


@dataclass(frozen=True)
class Draft:
    """Where a build puts things: the finished file, what mmdebstrap says, the number of the process that is at it.

    `root` is where the machine's own files are seen.
    """

    tar: Path
    log: Path
    pid_file: Path
    root: Path = Path("/")


def bootstrap(draft: Draft, progress: Callable[[int, str], None], lock_descriptor: int) -> None:
    """Make `draft.tar`. Raises ProviderError with the last lines of what went wrong.

    The child holds the lock as well and moves the finished file to its place itself: killed with -9 at any moment, this
    process leaves either a whole file behind, or a child that still makes one and keeps others from beginning.
    """
    source = _source(draft.root)
    unfinished = draft.tar.with_suffix(".unfinished.tar")
    unfinished.unlink(missing_ok=True)
    # On the disk before it has its name: a machine that loses power must not leave an empty file that counts as the image.
    script = 'timeout --foreground "$1" sh "$2" "$3" "$4" "$5" && sync "$3" && mv "$3" "$6"'
    command = ["sh", "-c", script, MARK, str(BUILD_SECONDS), str(HERE / "recipe.sh"), str(unfinished), SUITE, source.uri,
               str(draft.tar)]  # fmt: skip
    with draft.log.open("wb") as output:
        child = subprocess.Popen(command, env=_environment(source), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 start_new_session=True, pass_fds=(lock_descriptor,))  # fmt: skip
    draft.pid_file.parent.mkdir(parents=True, exist_ok=True)
    draft.pid_file.write_text(str(child.pid))
    while child.poll() is None:
        progress(*phase_of(draft.log))
        time.sleep(LOOK_SECONDS)
    draft.pid_file.unlink(missing_ok=True)
    if child.returncode != 0:
        unfinished.unlink(missing_ok=True)
        raise ProviderError(
            "the host image could not be built", command=f"mmdebstrap {SUITE} {source.uri}",
            stderr="\n".join(draft.log.read_text(errors="replace").splitlines()[-20:]),
            what_to_do="see that `apt-get update` works on this machine, then retry the operation",
        )  # fmt: skip


def stop(pid_file: Path) -> None:
    """End a build whose number stands in `pid_file`, if it still runs; it tidies up after itself."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = int(pid_file.read_text())
        process = Path(f"/proc/{pid}/cmdline")
        until = time.monotonic() + STOP_SECONDS
        while MARK in process.read_text():
            os.killpg(pid, signal.SIGTERM if time.monotonic() < until else signal.SIGKILL)
            time.sleep(LOOK_SECONDS)
    pid_file.unlink(missing_ok=True)


def _environment(source: AptSource) -> dict[str, str]:
    copies = [path for pattern in APT_FILES for path in glob.glob(pattern)]
    if SUITE in source.suites:
        copies.append(str(source.file))
    return {**os.environ, "DTROVE_FILES": str(HERE), "DTROVE_COPY": " ".join(copies)}


def phase_of(log: Path) -> tuple[int, str]:
    """How far a build is that writes to `log`: percent of the whole image, and a sentence."""
    text = log.read_text(errors="replace") if log.exists() else ""
    reached = [(percent, words) for mark, percent, words in PHASES if mark in text]
    percent, words = reached[-1] if reached else (1, "beginning")
    return percent, f"building the host image, a minute or two: {words}"


def _source(root: Path) -> AptSource:
    """The machine's mirror of the hosts' suite. Raises ProviderError where one of the means is missing."""
    if not shutil.which("mmdebstrap"):
        raise ProviderError(
            "the host image cannot be built: no registry answers, and mmdebstrap is not installed",
            what_to_do="install the package mmdebstrap, or let the container engine reach a registry; then retry",
        )
    source = mirror_of(SUITE, apt_sources(root / "etc/apt"), is_debian=_is_debian(root / "etc/os-release"))
    if source is None:
        raise ProviderError(
            f"the host image cannot be built: no registry answers, and no apt source of this machine has Debian {SUITE}",
            what_to_do=f"let the container engine reach a registry, or add a Debian mirror with {SUITE} main (and its keyring, "
            "package debian-archive-keyring) to /etc/apt/sources.list.d; then retry",
        )
    return source


def _is_debian(release: Path) -> bool:
    """Whether this machine is Debian itself: a mirror of one that only descends from it has other suites."""
    lines = release.read_text().splitlines() if release.exists() else []
    return "ID=debian" in lines
