"""The API's use cases, one transaction each."""
