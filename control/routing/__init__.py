"""Routing: it brings what a routing daemon of the host decides to the routers of the dataplane."""
