"""Finding others from the one endpoint that is known at first: that of the datastore."""

from .client import ControlClient
from .datastore import Endpoint, Lookup

NETWORK = "tcp"


async def lookup(datastore: ControlClient, api: str, timeout: float = 5.0) -> Endpoint:
    """Return where an API is served, for a caller who reaches it as he does the datastore.

    Raise CallError if nobody serves it, or not so.
    """
    by_network = datastore.endpoint.startswith(f"{NETWORK}://")
    return await datastore.call(Lookup(api, transport=NETWORK if by_network else ""), timeout)
