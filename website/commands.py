"""The reference of commands, made from their parsers, which a test holds the command lines of all pages against."""

import enum
import importlib
import inspect
import tomllib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer
import typer.models

from tfrecords_tools.check_cli import app as check_app
from website.paths import ROOT
from website.tables import cell, plain, table


class Parameter(NamedTuple):
    """An argument (no spellings) or an option of a command."""

    spellings: tuple[str, ...]
    value: str
    bounds: str
    required: bool
    several: bool
    default: str
    meaning: str


class Command(NamedTuple):
    """A command, or a command of a command: its name in words, usage and parameters."""

    name: str
    usage: str
    about: str
    parameters: list[Parameter]
    hidden: tuple[str, ...]

    @property
    def options(self) -> dict[str, bool]:
        """Every spelling of an option, those that help leaves out too, and whether it takes a value."""
        told = {name: bool(one.value) for one in self.parameters for name in one.spellings}
        return {"--help": False, "-h": False, **dict.fromkeys(self.hidden, True), **told}


def read_commands() -> dict[str, Command]:
    """Every command by its name, such as `kreid-train` or `kreid-weights inspect`, as `pyproject.toml` lists them."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    apps = [(name, target.partition(":")[0]) for name, target in scripts.items()]
    found = [one for name, module in apps for one in _commands(name, importlib.import_module(module).app)]
    # `kreid-convert check` is an application of its own, which kreid-convert calls by its first argument.
    found += [one for one in _commands("kreid-convert", check_app) if one.parameters]
    return {command.name: command for command in sorted(found, key=lambda one: one.name)}


def page() -> str:
    """The reference as a page of Markdown."""
    lines = [
        "# Commands",
        "",
        "A command that writes prints the path last. Exit codes: 0 done, 1 bad data, 2 bad arguments or configuration, "
        "130 interrupted, 143 terminated. An error is one line; `KREID_TRACEBACK=1` shows where it came from. This "
        "page is made from the commands themselves.",
        "",
    ]
    for command in read_commands().values():
        lines += [f"## {command.name}", "", "```text", command.usage, "```", "", *_prose(command.about), ""]
        rows = [(_spelled(one), _valued(one), one.default, cell(plain(one.meaning))) for one in command.parameters]
        if rows:
            lines += [table(("argument or option", "value", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def _commands(name: str, app: typer.Typer) -> Iterator[Command]:
    """A command, or a group of some: one alone without a callback is the program itself, as Typer has it."""
    group = app.registered_callback
    if group:
        yield Command(name, f"{name} COMMAND [OPTIONS]", inspect.getdoc(group.callback) or "", [], ())
    for one in app.registered_commands:
        if function := one.callback:
            yield _command(f"{name} {one.name or function.__name__}" if group else name, function)


def _command(name: str, function: Callable) -> Command:
    """What a command's function says of its parameters: of its signature, for parsers change with Typer's version."""
    hints = get_type_hints(function, include_extras=True)
    told = [one for one in inspect.signature(function).parameters.values() if get_origin(hints[one.name]) is Annotated]
    infos = {one.name: next(iter(hints[one.name].__metadata__)) for one in told}
    shown = [_parameter(one, hints[one.name].__origin__, infos[one.name]) for one in told if not infos[one.name].hidden]
    hidden = tuple(f"--{one.name}" for one in told if infos[one.name].hidden)
    words = [name, *(_usage(one) for one in shown if not one.spellings or one.required), "[OPTIONS]"]
    return Command(name, " ".join(words), inspect.getdoc(function) or "", shown, hidden)


def _parameter(one: inspect.Parameter, kind: Any, info: Any) -> Parameter:
    inner = (
        next(choice for choice in get_args(kind) or (kind,) if choice is not type(None)) if _optional(kind) else kind
    )
    several = get_origin(inner) is list
    inner = get_args(inner)[0] if several else inner
    spellings: tuple[str, ...] = ()
    if isinstance(info, typer.models.OptionInfo):
        # Typer takes the first spelling for a default, which stands elsewhere where a parameter is annotated.
        decls = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
        own = f"--{one.name.replace('_', '-')}"
        decls = decls or ([own, own.replace("--", "--no-", 1)] if inner is bool else [own])
        spellings = tuple(name for spelling in decls for name in spelling.split("/"))
    named = [f"`{value.value}`" for value in inner] if issubclass(inner, enum.Enum) else []
    value = (
        "" if inner is bool else ", ".join(named) or info.metavar or {str: "TEXT"}.get(inner, inner.__name__.upper())
    )
    required = one.default is inspect.Parameter.empty
    bounds = [f"{word} {bound}" for word, bound in (("from", info.min), ("to", info.max)) if bound is not None]
    return Parameter(spellings, value, " ".join(bounds), required, several, _default(one, info), info.help or "")


def _optional(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _default(one: inspect.Parameter, info: Any) -> str:
    if one.default is inspect.Parameter.empty:
        return "**required**"
    if isinstance(info.show_default, str):
        return f"`{info.show_default}`"
    value = getattr(one.default, "value", one.default)
    if value is True:
        return "on"
    return "" if value in (None, False, "") else f"`{value}`"


def _usage(one: Parameter) -> str:
    value = one.value.replace("`", "")
    return (
        f"{one.spellings[0]} {value}" if one.spellings else value + ("..." if one.several and "." not in value else "")
    )


def _spelled(one: Parameter) -> str:
    return ", ".join(f"`{name}`" for name in one.spellings) or f"`{one.value.rstrip('.')}`"


def _valued(one: Parameter) -> str:
    if not one.spellings or not one.value:
        return ""
    value = one.value if "`" in one.value else f"`{one.value}`"
    several = "may be repeated" if one.several and "..." not in value else ""
    return ", ".join(filter(None, (value, one.bounds, several)))


def _prose(text: str) -> list[str]:
    """Help as Markdown: what follows a `\\b`, which keeps its lines, as a block of code."""
    lines: list[str] = []
    for block in text.split("\n\n"):
        kept, mark, rest = block.partition("\b\n")
        lines += ["```text", inspect.cleandoc(rest), "```", ""] if mark else [plain(kept), ""]
    return lines
