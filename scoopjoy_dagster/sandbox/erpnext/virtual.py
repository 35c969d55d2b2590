"""Virtual fields: no column, but a Python expression that is evaluated whenever a document is shown.

Frappe evaluates any expression that its safe_eval takes (``frappe/model/base_document.py``, ``get_valid_dict``). Here it is
the part that ours use; the rest is refused when the field is made.

Belongs here: which expressions, and their values. Does not belong here: where a document is shown (``document``).
"""

from __future__ import annotations

import ast
from functools import cache
from types import CodeType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from scoopjoy_dagster.sandbox.erpnext.database import column, table
from scoopjoy_dagster.sandbox.erpnext.errors import SiteError, unknown_to_the_sandbox
from scoopjoy_dagster.sandbox.erpnext.meta import DECIMALS
from scoopjoy_dagster.sandbox.erpnext.values import cast

if TYPE_CHECKING:
    from scoopjoy_dagster.sandbox.erpnext.document import Doc
    from scoopjoy_dagster.sandbox.erpnext.session import Session
    from scoopjoy_dagster.sandbox.erpnext.site import Site

_SYNTAX = (ast.Expression, ast.Call, ast.Constant, ast.Dict, ast.BoolOp, ast.boolop, ast.GeneratorExp,
           ast.comprehension, ast.Load, ast.Store)  # fmt: skip
_ATTRIBUTES = frozenset({"frappe.db", "frappe.db.get_all", "frappe.db.get_value", "doc.doctype", "doc.name"})
_BUILTINS = {"sum": sum, "sorted": sorted, "set": set}


def check(session: Session, field: Doc) -> None:
    """Refuse a virtual field that this server could not show as a real one does."""
    if field["fieldtype"] not in {*DECIMALS, "Data"} or field.get("permlevel"):
        raise unknown_to_the_sandbox(
            f"a virtual field of type {field['fieldtype']}, or of a permission level"
        )
    if session.site.meta(field["dt"]).istable:
        raise unknown_to_the_sandbox("a virtual field of a row")
    text = str(field.get("options") or "")
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        raise unknown_to_the_sandbox(f"the expression {text!r} of a virtual field") from None
    own = {node.target.id for node in ast.walk(tree)
           if isinstance(node, ast.comprehension) and isinstance(node.target, ast.Name)}  # fmt: skip
    for node in ast.walk(tree):
        if not _is_known(node, own):
            raise unknown_to_the_sandbox(f"{ast.unparse(node)!r} in the expression of a virtual field")


def _is_known(node: ast.AST, own: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in {"frappe", "doc", *_BUILTINS, *own}
    if isinstance(node, ast.Attribute):
        of_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return (of_text and node.attr == "join") or ast.unparse(node) in _ATTRIBUTES
    if isinstance(node, ast.keyword):
        return node.arg in {"filters", "pluck", "order_by"}
    return isinstance(node, _SYNTAX)


@cache
def _code(expression: str) -> CodeType:
    return compile(expression, "<virtual field>", "eval")


def values(site: Site, doc: Doc) -> dict[str, Any]:
    """The virtual fields of a document; nobody's permission is asked, as with ``frappe.db``."""

    def get_all(doctype: str, filters: dict[str, Any], pluck: str, order_by: str = "") -> list[Any]:
        meta = site.meta(doctype)
        by, _, direction = order_by.partition(" ")
        for name in (pluck, *filters, *filter(None, [by])):
            if not meta.has_column(name):
                raise SiteError("OperationalError", f"(1054, \"Unknown column '{name}' in 'WHERE'\")")
        where = " AND ".join(f"{column(name)} = ?" for name in filters) or "1"
        order = f" ORDER BY {column(by)} {'DESC' if direction.lower() == 'desc' else 'ASC'}" if by else ""
        sql = f"SELECT {column(pluck)} FROM {table(doctype)} WHERE {where}{order}"
        return [row[0] for row in site.db.rows(sql, filters.values())]

    def get_value(doctype: str, filters: dict[str, Any], fieldname: str, order_by: str = "") -> Any:
        return next(iter(get_all(doctype, filters, fieldname, order_by)), None)

    db = SimpleNamespace(get_all=get_all, get_value=get_value)
    names = {**_BUILTINS, "__builtins__": {}, "frappe": SimpleNamespace(db=db)}
    names["doc"] = SimpleNamespace(doctype=doc.doctype, name=doc.name)
    return {
        field.fieldname: cast(field, eval(_code(field.options), names))  # noqa: S307 - ``check`` has looked at it
        for field in doc.meta.virtual
    }
