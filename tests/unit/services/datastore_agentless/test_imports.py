"""What a process of datastore_agentless takes into memory."""

from __future__ import annotations

import subprocess
import sys


def test_the_sdk_of_a_store_that_is_not_used_is_not_in_memory() -> None:
    asked = "import sys, services.datastore_agentless.service; print('boto3' in sys.modules)"
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
