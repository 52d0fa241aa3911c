"""flush: let the switch forget what it has learned."""

import click

from .place import keys_folder, placed


@click.group()
def flush() -> None:
    """Forget what the switch has learned."""


@flush.command()
@placed
@click.argument("bridge")
@click.option("--port", help="Only addresses behind this port.")
@click.option("--vlan", type=click.IntRange(0, 4095), help="Only addresses in this VLAN.")
def fdb(bridge: str, port: str | None, vlan: int | None) -> None:
    """Forget the addresses that BRIDGE has learned, all or some."""
    from .ask import read

    number = 0
    if port:
        number = read(f"/raicho/bridge[name='{bridge}']/port[name='{port}']/number") or 0
        if not number:
            raise click.ClickException(f"bridge {bridge} has no port {port}")
    payload = number.to_bytes(4) + (b"" if vlan is None else vlan.to_bytes(2))
    forgotten = int.from_bytes(_tell(bridge, "flush_fdb", payload))
    click.echo(f"{forgotten} forgotten")


def _tell(bridge: str, op: str, payload: bytes) -> bytes:
    """Return the answer to an operation on a bridge, of one frame."""
    import asyncio

    from ..message import DONE, BulkClient, BulkRequest
    from ..message.keys import context_with, load
    from .ask import check_running, endpoint

    check_running("dataplane")
    where = endpoint("dataplane", "bulk")

    async def hold() -> bytes:
        context = context_with(load(keys_folder()))
        client = BulkClient(context, where)
        try:
            reply, frames = await client.request(BulkRequest(op, bridge), payload)
        finally:
            client.close()
            context.term()
        if reply.code != DONE:
            raise click.ClickException(reply.text or f"{op}: error {reply.code:#x}")
        return frames[0]

    return asyncio.run(hold())
