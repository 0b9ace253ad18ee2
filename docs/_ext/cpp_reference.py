"""Turns the comments of the public C++ headers into pages of Sphinx's C++ domain.

One page a header, in docs/generated/cpp. A comment belongs to the declaration below it, or, after ``///<``,
to the one before it on the same line; the first comment of a file describes the file. Sphinx parses every
declaration, so one that it does not understand is a warning, and the build treats warnings as errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter_cpp
from sphinx.application import Sphinx
from tree_sitter import Language, Node, Parser

ORDER = [
    "context",
    "view",
    "error",
    "operator",
    "ot",
    "linalg",
]  # as a reader wants them; others follow by name


@dataclass
class Entry:
    """One documented declaration, or several variables declared together."""

    directive: str
    signatures: list[str]
    text: str = ""
    inner: list[Entry] = field(default_factory=list)


def code(node: Node) -> str:
    """The source of a node on one line, without comments."""
    source = (node.text or b"").decode()
    source = re.sub(r"//[^\n]*", "", source)
    return " ".join(source.split())


def comment_text(raw: str) -> str:
    """A comment without its slashes."""
    lines = [re.sub(r"^\s*//[/!]?<?\s?", "", line) for line in raw.splitlines()]
    return "\n".join(line for line in lines if not line.startswith("\\file")).strip()


def to_rst(text: str) -> str:
    """Plain text with `code` spans, as reStructuredText: everything else is literal."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"``{p}``" if i % 2 else re.sub(r"([*_|\\`<>])", r"\\\1", p) for i, p in enumerate(parts))


def head(node: Node) -> str:
    """A declaration without its body, initialisers of a constructor, and the semicolon."""
    end = node.end_byte
    for child in walk(node, stop=("compound_statement", "field_declaration_list", "enumerator_list")):
        stops = ("compound_statement", "field_initializer_list", "field_declaration_list", "enumerator_list",
                 "default_method_clause", "delete_method_clause")  # fmt: skip
        if child.type in stops:
            end = min(end, child.start_byte)
    source = (node.text or b"")[: end - node.start_byte].decode()
    source = " ".join(re.sub(r"//[^\n]*", "", source).split()).rstrip("; ")
    return re.sub(r"\[\[\w+\]\]\s*", "", source)


def walk(node: Node, stop: tuple[str, ...] = ()) -> Iterator[Node]:
    """All nodes below, not entering the types in `stop`."""
    for child in node.children:
        yield child
        if child.type not in stop:
            yield from walk(child, stop)


def inner_declaration(node: Node) -> Node:
    """What a template declares."""
    while node.type == "template_declaration":
        node = node.named_children[-1]
    return node


def first(node: Node, *types: str) -> Node | None:
    """The first node below of one of the types."""
    return next((n for n in walk(node) if n.type in types), None)


def entries(scope: Node, *, members: bool = False, public: bool = True) -> list[Entry]:
    """The declarations of a namespace or a class, each with its comment."""
    found: list[Entry] = []
    pending: list[str] = []
    pending_end = last_end = -2
    last: Entry | None = None
    for node in scope.children:
        row = node.start_point[0]
        if node.type == "comment":
            raw = (node.text or b"").decode()
            if row == last_end and last is not None:  # ///< after a declaration, and what continues it below
                last.text = " ".join(filter(None, [last.text, comment_text(raw)]))
                last_end = node.end_point[0] + raw.startswith("///<")
            elif raw.startswith("///"):
                if row != pending_end + 1:
                    pending = []
                pending.append(comment_text(raw))
                pending_end = node.end_point[0]
            continue
        if node.type == "access_specifier":
            public = code(node).startswith("public")
            continue
        if node.type == "namespace_definition":
            continue
        if not public or not node.is_named:
            continue
        entry = describe(node, members=members)
        if entry is None:
            continue
        if pending and pending_end >= row - 1:
            entry.text = " ".join(pending)
        pending = []
        found.append(entry)
        last, last_end = entry, node.end_point[0]
    return found


def describe(node: Node, *, members: bool) -> Entry | None:
    """The directive of one declaration; None for what is no part of the interface."""
    target = inner_declaration(node)
    if target.type == "field_declaration" and target.child_by_field_name("declarator") is None:
        nested = target.child_by_field_name("type")  # a class within a class
        return None if nested is None else describe(nested, members=members)
    signature = head(node)
    if signature.startswith(("extern template", "template <>", "friend", "static_assert")):
        return None
    if target.type in ("class_specifier", "struct_specifier"):
        body = target.child_by_field_name("body")
        if body is None:
            return None
        signature = re.sub(r"\b(class|struct) (?=\w+( final)?( :|$))", "", signature, count=1)
        kind = "class" if target.type == "class_specifier" else "struct"
        return Entry(kind, [signature], inner=entries(body, members=True, public=kind == "struct"))
    if target.type == "enum_specifier":
        scoped = "enum-class" if "class" in code(target).split("{")[0] else "enum"
        name = target.child_by_field_name("name")
        body = target.child_by_field_name("body")
        if name is None or body is None:
            return None
        inner = [Entry("enumerator", [code(n)]) for n in body.children if n.type == "enumerator"]
        return Entry(scoped, [code(name)], inner=inner)
    if target.type == "alias_declaration":
        prefix = signature[: signature.index("using")]
        return Entry("type", [prefix + code(target).removeprefix("using ").rstrip(";")])
    if target.type == "concept_definition":
        return Entry("concept", [signature.split(" = ")[0].replace("concept ", "")])
    if target.type in ("declaration", "field_declaration", "function_definition"):
        if code(target).endswith("= delete;"):
            return None
        if first(target, "function_declarator") is not None and not is_function_object(target):
            return Entry("function", [signature])
        if members or target.type == "declaration":
            return Entry("member", variables(target, signature))
    return None


def variables(node: Node, signature: str) -> list[str]:
    """`double a, b = 0` as a signature each."""
    names = node.children_by_field_name("declarator")
    if len(names) < 2:
        return [signature]
    start = names[0].start_byte - node.start_byte
    common = " ".join((node.text or b"")[:start].decode().split())
    rest = (node.text or b"")[start:].decode().split("//")[0].rstrip("; \n")
    return [f"{common} {part.strip()}" for part in rest.split(",")]


def is_function_object(node: Node) -> bool:
    """A variable whose type mentions a function, such as std::function<bool()>."""
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type in ("pointer_declarator", "reference_declarator"):
        declarator = declarator.named_children[-1]
    return declarator is None or declarator.type not in ("function_declarator", "operator_cast")


def namespaces(scope: Node, prefix: str = "") -> Iterator[tuple[str, list[Entry]]]:
    """Every namespace of a file with its declarations."""
    for node in scope.children:
        if node.type == "namespace_definition":
            name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
            if name is not None and body is not None:
                full = f"{prefix}::{code(name)}".removeprefix("::")
                if found := entries(body):
                    yield full, found
                yield from namespaces(body, full)


def render(entry: Entry, indent: int = 0) -> Iterator[str]:
    """The directive of an entry and of what is in it."""
    pad = " " * indent
    more = f"\n{pad}{' ' * len(f'.. cpp:{entry.directive}:: ')}"
    yield f"{pad}.. cpp:{entry.directive}:: {more.join(entry.signatures)}"
    yield ""
    if entry.text:
        yield from (f"{pad}   {line}".rstrip() for line in to_rst(entry.text).splitlines())
        yield ""
    for inner in entry.inner:
        yield from render(inner, indent + 3)


def page(path: Path, title: str) -> str:
    """The page of one header."""
    root = Parser(Language(tree_sitter_cpp.language())).parse(path.read_bytes()).root_node
    lines = [title, "=" * len(title), "", f"``#include <{title}>``", ""]
    about = []
    for node in root.children:
        if node.type != "comment":
            break
        about.append(comment_text((node.text or b"").decode()))
    lines += [to_rst("\n".join(about)).strip(), ""]
    for name, found in namespaces(root):
        lines += [f".. cpp:namespace:: {name}", ""]
        for entry in found:
            lines += render(entry)
    return "\n".join(lines) + "\n"


def headers(root: Path) -> dict[str, Path]:
    """The public headers by the name under which they are included, in the order of the index."""
    found = {}
    for include in (root / "cpp" / "include", root / "cuda" / "include"):
        paths = [p for p in include.rglob("*.hpp") if p.stem not in ("lapwing", "version")]
        paths.sort(key=lambda p: (ORDER.index(p.stem) if p.stem in ORDER else len(ORDER), p.stem))
        found |= {p.relative_to(include).as_posix(): p for p in paths}
    return found


def generate(app: Sphinx) -> None:
    """Write the pages and their index."""
    out = Path(app.srcdir) / "generated" / "cpp"
    out.mkdir(parents=True, exist_ok=True)
    wanted, names = {}, []
    for title, path in headers(Path(app.srcdir).parent).items():
        name = title.removeprefix("lapwing/").removesuffix(".hpp").replace("/", "_")
        names.append(name)
        wanted[f"{name}.rst"] = page(path, title)
    wanted["index.rst"] = "\n".join(
        [
            "Headers",
            "=======",
            "",
            ".. toctree::",
            "   :maxdepth: 1",
            "",
            *(f"   {name}" for name in names),
            "",
        ]
    )
    for old in out.glob("*.rst"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        target = out / name
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", generate)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
