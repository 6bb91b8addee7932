"""The scheduler's use cases, one transaction each."""
