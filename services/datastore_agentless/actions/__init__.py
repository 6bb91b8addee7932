"""The use cases of datastore_agentless, one transaction each: messages file work, they never carry it."""

from services.datastore_agentless.actions.clusters import (
    clocks,
    expect_cluster,
    fail_cluster,
    forget_instance,
    prepare_node,
    release_cluster,
)
from services.datastore_agentless.actions.keys import credentials, issue_key
from services.datastore_agentless.actions.nodes import expect_nodes, remove_nodes
from services.datastore_agentless.actions.requests import (
    cancel_operation,
    perform,
    request_access,
    request_backup,
    request_perform,
    retry_operation,
)

__all__ = [
    "cancel_operation",
    "clocks",
    "credentials",
    "expect_cluster",
    "expect_nodes",
    "fail_cluster",
    "forget_instance",
    "issue_key",
    "perform",
    "prepare_node",
    "release_cluster",
    "remove_nodes",
    "request_access",
    "request_backup",
    "request_perform",
    "retry_operation",
]
