"""Every route: its path, the resource that serves it, and which of the resource's responders."""

from __future__ import annotations

from services.api.openapi import Route
from services.api.resources import (
    access,
    catalogue,
    clusters,
    events,
    instances,
    logins,
    operations,
    parked,
    secrets,
    system,
)

ROUTES: tuple[Route, ...] = (
    ("/v1/clusters", clusters.Clusters, ""),
    ("/v1/clusters/{cluster_id}", clusters.Cluster, ""),
    ("/v1/clusters/{cluster_id}/credentials", clusters.Credentials, ""),
    ("/v1/clusters/{cluster_id}/instances", clusters.ClusterInstances, ""),
    ("/v1/clusters/{cluster_id}/backups", clusters.Backups, ""),
    ("/v1/instances/{instance_id}", instances.Instance, ""),
    ("/v1/instances/{instance_id}/perform", instances.Perform, ""),
    ("/v1/instances/{instance_id}/access", logins.InstanceAccess, ""),
    ("/v1/instances/{instance_id}/access/{access_id}", logins.InstanceAccess, "one"),
    ("/v1/operations", operations.Operations, ""),
    ("/v1/operations/{operation_id}", operations.Operation, ""),
    ("/v1/operations/{operation_id}/transcript", operations.Transcript, ""),
    ("/v1/operations/{operation_id}/cancel", operations.Cancel, ""),
    ("/v1/operations/{operation_id}/retry", operations.Retry, ""),
    ("/v1/events", events.Events, ""),
    ("/v1/datastores", catalogue.Datastores, ""),
    ("/v1/datastores/{datastore_id}", catalogue.Datastore, ""),
    ("/v1/flavors", catalogue.Flavors, ""),
    ("/v1/tokens", access.Tokens, ""),
    ("/v1/tokens/{token_id}", access.Tokens, "one"),
    ("/v1/projects", access.Projects, ""),
    ("/v1/projects/{project_id}", access.Projects, "one"),
    ("/v1/projects/{project_id}/quotas", access.Quotas, ""),
    ("/v1/parked", parked.Parked, ""),
    ("/v1/parked/{message_id}", parked.ParkedMessage, ""),
    ("/v1/parked/{message_id}/replay", parked.ParkedMessage, "replay"),
    ("/v1/secrets/reseal", secrets.Reseal, ""),
    ("/healthz", system.Health, ""),
    ("/readyz", system.Health, "ready"),
    ("/metrics", system.Health, "metrics"),
    ("/v1/openapi.json", system.Description, ""),
    ("/docs", system.Description, "page"),
)
