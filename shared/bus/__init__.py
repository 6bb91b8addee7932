"""The bus: nameko, RabbitMQ and eventlet, and the only place that knows of them beside service.py."""

from shared.bus.certificate import Certificate
from shared.bus.events import on
from shared.bus.keeping import Keeps
from shared.bus.parked import on_parked
from shared.bus.protocol import Door
from shared.bus.relay import Relay
from shared.bus.rpc import RpcCaller, rpc
from shared.bus.steps import Steps, Ticker
from shared.bus.web import Web, WsgiApp

__all__ = [
    "Certificate",
    "Door",
    "Keeps",
    "Relay",
    "RpcCaller",
    "Steps",
    "Ticker",
    "Web",
    "WsgiApp",
    "on",
    "on_parked",
    "rpc",
]
