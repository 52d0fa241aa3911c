"""template: what the flows of a bridge share, and the memory that this leaves them."""

import click

from .output import emit, emit_rows, outline
from .place import placed
from .show import view

EACH = ("flow_bytes_each", "index_bytes_each", "counter_bytes_each")


@click.group()
def template() -> None:
    """Show the templates that flows refer to."""


@template.command(name="list")
@placed
@click.argument("bridge", required=False)
def list_templates(bridge: str | None) -> None:
    """List the templates of BRIDGE, or of all, and the bytes that each of their flows takes."""
    columns = ("bridge", "template_id", "name", "flow_count", "arguments_size", *EACH, "text")
    emit_rows(view("templates", bridge), columns, "no templates")


@template.command(name="show")
@placed
@click.argument("bridge")
@click.argument("template_id", type=click.IntRange(0, 0xFFFFFFFE))
def show_template(bridge: str, template_id: int) -> None:
    """Show template TEMPLATE_ID of BRIDGE."""
    rows = [row for row in view("templates", bridge) if row["template_id"] == template_id]
    if not rows:
        raise click.ClickException(f"{bridge} has no template {template_id}")
    (row,) = rows
    emit(row, outline({name: value for name, value in row.items() if name != "instructions"}))
