"""What a process of the provisioner takes into memory."""

from __future__ import annotations

import subprocess
import sys


def test_the_sdk_of_a_cloud_that_is_not_used_is_not_in_memory() -> None:
    asked = "import sys, services.provisioner.service; print('openstack' in sys.modules)"
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
