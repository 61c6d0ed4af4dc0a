"""What a node of a syntax tree is to a chunker: a definition, an import, a comment, or nothing in particular.

Owns the table of node types and how a definition is named. Most grammars agree on words, so one pattern a role serves
them all; `EXTRA` holds what a grammar calls otherwise. It does not know where a file is cut.
"""

import re
from collections.abc import Callable
from functools import cache

from tree_sitter import Node

FUNCTION, TYPE, VALUE, LEAD, IMPORT, WRAPPER, OTHER = "function type value lead import wrapper other".split()
"""`TYPE`: a definition whose parts are definitions (a class, a module, a section). `VALUE`: a constant, a field.
`LEAD`: it stands on what follows it. `WRAPPER`: the definition is the node inside it (an export, a decorated class)."""

_ENDS = "_(definition|declaration|item|spec|specifier|statement|signature|def|defn|decl|implementation|extension)"
_FUNCTIONS = (
    "function|method|constructor|destructor|initializer|init|deinit|func|procedure|subroutine|subroutine_declaration"
    "|subprogram|macro|modifier|operator|operation|subscript|event|task|secondary_constructor|compact_constructor|test"
    "|iterator|converter|proc|template|fallback_receive|generator_function"
)
_TYPES = (
    "class|struct|enum|union|interface|trait|impl|mod|module|namespace|type|object|protocol|record|extension|mixin"
    "|contract|library|service|data|newtype|package_object|actor|primitive|entity|architecture|package|exception|error"
    "|category|annotation|concept|scalar"
)
_VALUES = (
    "value|lexical|variable|const|constant|property|field|val|var|let|static|global|global_variable|state_variable|event_field"
    "|global_constant|public_field|initialized_variable"
)
_ROLES = {
    LEAD: r"comment(_line|_block)?$|haddock|^(inner_)?attribute_(item|list|group)$|^attributes$|^decorators?$"
    r"|^(marker_|file_)?annotations?$|^pragma$|^access_specifier$",
    IMPORT: r"^(import|use_(declaration|statement)|package_(clause|declaration|header)|preproc_include"
    r"|using_(directive|statement)|future_import|extern_crate|namespace_use|include_|open_(module|directive)|require_|library_import"
    r"|module_attribute$|php_tag$|pp_include|pragma_directive)",
    WRAPPER: r"^(export_statement|export_declaration|decorated_definition|template_declaration|ambient_declaration"
    r"|global_statement|type_declaration|type_section|linkage_specification|definition|executable_definition"
    r"|type_system_definition|type_definition|declaration_expression|implementation_definition)$",
    FUNCTION: rf"^((async|local|singleton|class|abstract|public|private|read_only)_)*({_FUNCTIONS})({_ENDS})+$|^(method"
    r"|singleton_method|fun_decl|macro_rule|(public|private|read_only)_function|create_(function|view|trigger|procedure)"
    r"|subprogram_body|function_or_value_defn|subroutine|rpc)$",
    TYPE: rf"^((abstract|partial|derived|file_scoped|object|input_object|annotation|enum|class|scalar)_)*"
    rf"({_TYPES})(_alias|_synonym|_type|_body)*({_ENDS})+$"
    r"|^(class|singleton_class|module|named_module|section|interface|trait|struct|enum|message|service|internal_module|data_type|newtype|instance|class_interface|create_table"
    r"|namespace|table|table_array_element)$",
    VALUE: rf"^({_VALUES})(_declaration|_definition|_item|_statement)$|^(declaration|assignment|assignment_statement"
    r"|variable_assignment|expression_statement|pair|block_mapping_pair|binding|value_definition|binary_operator"
    r"|rule_set|rule|from_instruction|preproc_function_def)$",
}
_PATTERNS = {role: re.compile(pattern) for role, pattern in _ROLES.items()}

EXTRA = {
    "c": {"type_definition": TYPE},
    "clojure": {"list_lit": FUNCTION},
    "cmake": {"function_def": FUNCTION, "macro_def": FUNCTION},
    "commonlisp": {"list_lit": FUNCTION},
    "cpp": {"type_definition": TYPE},
    "dart": {"function_signature": LEAD, "method_signature": LEAD},
    "elixir": {"call": FUNCTION, "unary_operator": LEAD},
    "haskell": {"function": FUNCTION, "bind": VALUE, "signature": LEAD},
    "hcl": {"block": TYPE, "attribute": VALUE},
    "kotlin": {"import_list": IMPORT},
    "objc": {"type_definition": TYPE},
    "ocaml": {"type_definition": TYPE},
    "racket": {"list": FUNCTION},
    "scala": {"type_definition": TYPE},
    "scheme": {"list": FUNCTION},
    "sql": {"statement": WRAPPER},
    "terraform": {"block": TYPE, "attribute": VALUE},
    "zig": {"Decl": FUNCTION, "TestDecl": FUNCTION},
}
"""Node types by grammar, where the patterns miss or mistake them. A language without a line here needs none."""

_RUNS = re.compile(r"function|lambda|closure|method|constructor|do_block|subroutine|procedure")
_FORMS = {"call", "list_lit", "list"}
_FORM = re.compile(r"\(?\s*[\w-]+\*?\s+\(?([^\s(),]+)")
"""(defn name ...), (define (name ...) ...), def name(...)"""
_DEFINING_WORD = re.compile(r"^\(?(def|test\b|describe\b)")
_TYPE_WORD = re.compile(r"^\(?def(module|protocol|impl|record|type|struct|interface|class)")

_NAME_FIELDS = ("declarator", "left", "key", "lhs", "function", "variable_type_function", "attrpath", "pattern")
_LEADS_TO_NAME = re.compile(
    r"declarat|_spec$|_element$|assignment|_clause$|signature$|_head(er)?$|FnProto|VarDecl|call_expression|_list$|pair$"
    r"|_binding$|_command$"
)
_IS_NAME = re.compile(
    r"(identifier|name|key|literal_string)$|^(word|constant|selectors|targets|target|argument|variable|class|sym_lit|symbol"
    r"|object_reference|module_path|atom|package|title|type_head|atx_heading|setext_heading|bareword)$"
)
_NO_NAME = re.compile(
    r"^(modifiers?|visibility_modifier|keyword_\w+|method_type|binding_pattern_kind|type_parameters)$"
)
_RECEIVER = re.compile(r"([A-Za-z_]\w*)\s*(\[[^]]*\])?\s*\)$")
_NAME_BYTES = 80


@cache
def role_of(language: str) -> Callable[[Node], str]:
    """The function from a node of this grammar to its role. It remembers the answers by the node type's number."""
    known: dict[int, str] = {}
    extra = EXTRA.get(language, {})

    def role(node: Node) -> str:
        found = known.get(node.kind_id)
        if found is None:
            kind = node.type
            found = extra.get(kind) or next((r for r, pattern in _PATTERNS.items() if pattern.search(kind)), OTHER)
            known[node.kind_id] = found
        return found

    return role


def runs(node: Node) -> bool:
    """Whether what is inside `node` are statements that run, not definitions."""
    return bool(_RUNS.search(node.type))


def unwrapped(node: Node, role_of: Callable[[Node], str], source: bytes) -> tuple[Node, str]:
    """The definition that `node` wraps, if it does, and its role."""
    role = role_of(node)
    for _ in range(6):
        if role != WRAPPER:
            break
        inner = node.child_by_field_name("definition") or node.child_by_field_name("declaration")
        if inner is None:
            inside = [child for child in node.named_children if role_of(child) != LEAD]
            inner = inside[-1] if len(inside) == 1 or (inside and node.type == "template_declaration") else None
        if inner is None:
            return node, TYPE if node.type.startswith("type_") else OTHER
        node, role = inner, role_of(inner)
    if role == FUNCTION and node.type in _FORMS:
        head = _words(node, source)
        role = OTHER if not _DEFINING_WORD.match(head) else TYPE if _TYPE_WORD.match(head) else FUNCTION
    return node, role


def name(node: Node, source: bytes) -> tuple[str, int]:
    """What `node` defines, and the row that says so; ("", the node's first row) where it has no name."""
    row = node.start_point[0]
    if node.type in _FORMS:
        form = _FORM.match(_words(node, source))
        return (form[1].strip("\"'") if form else ""), row
    if node.type == "block":  # resource "type" "name" {
        labels = [child for child in node.named_children[:4] if child.type in ("identifier", "string_lit")]
        return ".".join(_words(label, source) for label in labels), row
    if node.type == "expression_statement" and not any("assignment" in child.type for child in node.named_children):
        return "", row
    for _ in range(6):
        found = node.child_by_field_name("type" if node.type == "impl_item" else "name")
        if found is not None:
            receiver = node.child_by_field_name("receiver")
            owner = _RECEIVER.search(_words(receiver, source)) if receiver is not None else None
            return (owner[1] + "." if owner else "") + _words(found, source), found.start_point[0]
        inner = next(filter(None, map(node.child_by_field_name, _NAME_FIELDS)), None)
        if inner is not None and not _LEADS_TO_NAME.search(inner.type):
            return _words(inner, source), inner.start_point[0]
        if inner is None:
            children = [child for child in node.named_children[:6] if not _NO_NAME.match(child.type)]
            inner = next((child for child in children if _LEADS_TO_NAME.search(child.type)), None)
            found = next((child for child in children if _IS_NAME.search(child.type)), None)
            if found is not None and (inner is None or "declarator" not in inner.type):
                return _words(found, source), found.start_point[0]
        if inner is None:
            break
        node = inner
    return "", row


def _words(node: Node, source: bytes) -> str:
    """The first line of a node's text, short enough for a name, without quotes and heading marks."""
    text = source[node.start_byte : min(node.end_byte, node.start_byte + _NAME_BYTES)].decode(errors="replace")
    return text.split("\n", 1)[0].strip("# \t\r:'\"")
