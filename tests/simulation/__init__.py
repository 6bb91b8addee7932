"""Tier 0: all four services in one process, under a virtual clock and a seeded scheduler of faults.

What runs is the real code: contracts, actions, step engine, workflows, outbox, inbox, the entrypoints of each service. Only
what lies behind a port is simulated: time, the broker, the cloud, the hosts. A seed decides every accident, so that a run
that breaks an invariant is replayed by its number alone.
"""
