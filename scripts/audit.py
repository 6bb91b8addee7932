"""Ask whether a dependency has a known weakness: `python -m scripts.audit`. Asks the advisory service that pip-audit knows.

It ends with 1 where one is found. Where the service cannot be asked (no network, a mirror that knows no advisories) it
says so, in so many words, and ends with 0: nothing was found out, and nothing is claimed. With `--must` that is 2.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
SECONDS = 120
CLEAN, WEAK, NOT_ASKED = 0, 1, 2


@dataclass(frozen=True)
class Audit:
    """What came of it: how many packages were asked about, how many could not be, and the weaknesses."""

    asked: int
    skipped: int
    weaknesses: tuple[str, ...]
    trouble: str = ""

    @property
    def code(self) -> int:
        """CLEAN, WEAK or NOT_ASKED."""
        if self.weaknesses:
            return WEAK
        return NOT_ASKED if self.trouble or not self.asked else CLEAN

    def words(self) -> str:
        """For people."""
        if self.weaknesses:
            return "known weaknesses in dependencies:\n" + "\n".join(f"  {one}" for one in self.weaknesses)
        if self.code == NOT_ASKED:
            why = self.trouble or f"it knows none of the {self.skipped} packages"
            return f"dependencies were NOT audited: the advisory service could not be asked ({why})"
        rest = f"; {self.skipped} are unknown to the service" if self.skipped else ""
        return f"no known weakness in {self.asked} dependencies{rest}"


def read(report: dict[str, Any]) -> Audit:
    """Take in pip-audit's JSON."""
    packages = report.get("dependencies", [])
    asked = [one for one in packages if "skip_reason" not in one]
    weak = tuple(
        f"{one['name']} {one['version']}: {vuln['id']}, mended in {', '.join(vuln.get('fix_versions') or ['no release yet'])}"
        for one in asked
        for vuln in one.get("vulns", [])
    )
    return Audit(len(asked), len(packages) - len(asked), weak)


def audit(lock: Path = LOCK) -> Audit:
    """Ask about every package of the lock file."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip",
               "--format", "json", "--progress-spinner", "off"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        return read(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return Audit(0, 0, (), f"no answer within {SECONDS} s")
    except ValueError:
        return Audit(0, 0, (), (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:200])


def main() -> int:
    """Audit and say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--must", action="store_true", help="end with 2 where the service could not be asked")
    asked = parser.parse_args()
    found = audit()
    print(found.words(), file=sys.stderr if found.code else sys.stdout)
    return found.code if found.code == WEAK or asked.must else CLEAN


if __name__ == "__main__":
    sys.exit(main())
