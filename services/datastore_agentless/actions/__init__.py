"""The use cases of datastore_agentless, one transaction each: messages file work, they never carry it."""

from services.datastore_agentless.actions.accounts import request_accounts
from services.datastore_agentless.actions.addresses import address_move_failed, address_moved
from services.datastore_agentless.actions.backups import delete_backup, renew_backup, request_backup
from services.datastore_agentless.actions.clusters import (
    clocks,
    expect_cluster,
    fail_cluster,
    forget_instance,
    prepare_node,
    release_cluster,
)
from services.datastore_agentless.actions.exports import change_exports, export_content, export_key
from services.datastore_agentless.actions.imports import import_at_hand, request_import
from services.datastore_agentless.actions.keys import credentials, issue_key
from services.datastore_agentless.actions.nodes import expect_nodes, remove_nodes
from services.datastore_agentless.actions.parameters import request_parameters
from services.datastore_agentless.actions.readings import request_logs
from services.datastore_agentless.actions.requests import (
    cancel_operation,
    perform,
    request_access,
    request_perform,
    retry_operation,
)
from services.datastore_agentless.actions.resizes import request_resize, size_changed
from services.datastore_agentless.actions.restores import RestoreWish, purge, request_restore
from services.datastore_agentless.actions.rolls import request_roll
from services.datastore_agentless.actions.samples import samples
from services.datastore_agentless.actions.takeovers import (
    choose_policy,
    power_failed,
    request_failover,
    request_switchover,
    take_back,
    take_over,
)

__all__ = [
    "RestoreWish",
    "address_move_failed",
    "address_moved",
    "cancel_operation",
    "change_exports",
    "choose_policy",
    "clocks",
    "credentials",
    "delete_backup",
    "expect_cluster",
    "expect_nodes",
    "export_content",
    "export_key",
    "fail_cluster",
    "forget_instance",
    "import_at_hand",
    "issue_key",
    "perform",
    "power_failed",
    "prepare_node",
    "purge",
    "release_cluster",
    "remove_nodes",
    "renew_backup",
    "request_access",
    "request_accounts",
    "request_backup",
    "request_failover",
    "request_import",
    "request_logs",
    "request_parameters",
    "request_perform",
    "request_resize",
    "request_restore",
    "request_roll",
    "request_switchover",
    "retry_operation",
    "samples",
    "size_changed",
    "take_back",
    "take_over",
]
