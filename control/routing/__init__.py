"""Routing: it brings what a routing daemon of the host decides to the routers of the dataplane."""

from .routing import RoutingComponent

__all__ = ["RoutingComponent"]
