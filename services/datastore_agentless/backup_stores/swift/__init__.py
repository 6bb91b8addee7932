"""Backups in OpenStack's object store, Swift. One of the two packages that import openstack."""
