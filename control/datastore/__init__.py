"""The datastore: schema, configuration, transactions and the registry of components."""

from .service import Datastore

__all__ = ["Datastore"]
