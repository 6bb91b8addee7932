"""Small scripts of one job, and where on the host it lies."""

from __future__ import annotations

from pathlib import Path

from services.datastore_agentless.hosts.base import Job, Script
from services.datastore_agentless.hosts.jobs import JobFolder
from services.datastore_agentless.hosts.runner import HostRunner


def one(job: Job) -> Script:
    return (yield job)


def folder_of(driver: HostRunner, job: Job) -> Path:
    return Path(driver.root, "jobs", JobFolder(f"{driver.task_id}-{job.name}").name)


def start(driver: HostRunner, job: Job) -> Path:
    """Start a job without following it."""
    made = JobFolder(f"{driver.task_id}-{job.name}", driver.root, driver.memory)
    assert driver.remote(made.start(job.script)).code == 0
    return folder_of(driver, job)
