"""The help of a command with many options: those of one matter together, under a heading of their own."""

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Sequence


class GroupedHelp(TyperCommand):
    """A command whose options are listed under ``rich_help_panel``, which typer alone heeds only where rich draws."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's, which typer hides
        """Write arguments, plain options, then each group."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in _arguments_first(self.get_params(ctx)):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(_heading_of(parameter), []).append(record)
        for heading in sorted(sections, key=lambda each: each not in ("Arguments", "Options")):
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


def _arguments_first(parameters: "Sequence[Any]") -> "list[Any]":
    return sorted(parameters, key=lambda each: each.param_type_name != "argument")


def _heading_of(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        return "Arguments"
    heading: str | None = getattr(parameter, "rich_help_panel", None)
    return heading or "Options"
