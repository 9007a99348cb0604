"""What the fields of a record and the members of an enum are, in the words that stand beside them in the code."""

import ast
import dataclasses
import inspect
import io
import textwrap
import tokenize
from enum import Enum


def described(record: type) -> dict[str, str]:
    """Return what stands below or behind each field of a dataclass or member of an enum; or nothing."""
    source = textwrap.dedent(inspect.getsource(record))
    body = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)).body
    comments = _comments(source)
    told = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        name = _name_of(node)
        if name is not None:
            words = _string(after) or comments.get(node.end_lineno or 0, "")
            told[name] = " ".join(words.split())
    return {name: told.get(name, "") for name in _names(record)}


def _names(record: type) -> list[str]:
    if issubclass(record, Enum):
        return list(record.__members__)
    return [each.name for each in dataclasses.fields(record)] if dataclasses.is_dataclass(record) else []


def _name_of(node: ast.stmt) -> str | None:
    if not isinstance(node, ast.AnnAssign | ast.Assign):
        return None
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    return target.id if isinstance(target, ast.Name) else None


def _string(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {each.start[0]: each.string.lstrip("# ") for each in tokens if each.type == tokenize.COMMENT}
