"""What a node of a syntax tree is to a chunker: a definition, an import, a comment, or nothing in particular.

Owns the table of node types and how a definition is named. Most grammars agree on words, so one pattern a role serves
them all; `EXTRA` holds what a grammar calls otherwise. It does not know where a file is cut.
"""

import re
from functools import cache

from tree_sitter import Node

FUNCTION, TYPE, VALUE, LEAD, IMPORT, WRAPPER, OTHER = "function type value lead import wrapper other".split()
"""`TYPE`: a definition whose parts are definitions (a class, a module, a section). `VALUE`: a constant, a field.
`LEAD`: it stands on what follows it. `WRAPPER`: the definition is the node inside it (an export, a decorated class)."""

_DEFINES = r"(_definition|_declaration|_item|_spec|_specifier|_statement|_signature|_def|_defn|_decl)"
_ROLES = {
    LEAD: r"comment(_line|_block)?$|^((inner_)?attribute_(item|list)|attributes?_group|decorator|annotation|pragma"
    r"|(marker|file|compile_options)_(annotation|attribute)|attributes|class_access|access_specifier)$",
    IMPORT: r"^(import|use_(declaration|statement)|package_(clause|declaration|header)|preproc_include|using_(directive"
    r"|statement)|future_import|extern_crate|namespace_use|include_(directive|statement)|open_(module|directive)|imports$"
    r"|require_|library_import|part_(of_)?directive|load_|pp_include|module_attribute$)",
    WRAPPER: r"^(export_statement|decorated_definition|template_declaration|ambient_declaration|global_statement"
    r"|export_declaration|type_declaration|source_element|declaration_statement|type_section|top_level_item"
    r"|linkage_specification|definition|statement|type_system_definition|type_definition)$",
    FUNCTION: rf"^((async_|local_|singleton_|generator_|class_|abstract_|inlinescript_)*(function|method|constructor"
    rf"|destructor|init|deinit|func|procedure|subroutine|subprogram|macro|modifier|operator|operation|subscript|event"
    rf"|task|secondary_constructor|compact_constructor|test){_DEFINES}+"
    r"|function_or_value_defn|method|singleton_method|subroutine_declaration_statement|fun_decl|macro_rule|public_function"
    r"|read_only_function|private_function|create_(function|view|trigger|procedure)|subprogram_body|method_member)$",
    TYPE: rf"^((abstract_|partial_|derived_|file_scoped_|object_|input_object_|annotation_|enum_)*(class|struct|enum|union"
    rf"|interface|trait|impl|mod|module|namespace|type|object|protocol|record|extension|mixin|contract|library|service"
    rf"|data|newtype|package_object|actor|primitive|entity|architecture|package|exception|error|category)"
    rf"(_alias|_synonym|_type|_body)*{_DEFINES}+"
    r"|class|singleton_class|module|section|interface|trait|struct|enum|message|service|internal_module|data_type|newtype"
    r"|instance|class_(interface|implementation)|create_table|namespace|table|table_array_element)$",
    VALUE: r"^((lexical|variable|const|constant|property|field|val|var|let|static|global|global_variable|state_variable"
    r"|global_constant|public_field|event_field)_(declaration|definition|item|statement)|declaration|assignment"
    r"|variable_assignment|assignment_statement|expression_statement|pair|block_mapping_pair|binding|value_definition"
    r"|binary_operator|initialized_variable_definition|rule_set|rule|model_declaration|mapping)$",
}
_PATTERNS = {role: re.compile(pattern) for role, pattern in _ROLES.items()}

EXTRA = {
    "c": {"type_definition": TYPE, "preproc_function_def": VALUE},
    "clojure": {"list_lit": FUNCTION},
    "commonlisp": {"defun": FUNCTION, "list_lit": FUNCTION},
    "cmake": {"function_def": FUNCTION, "macro_def": FUNCTION},
    "cpp": {"type_definition": TYPE, "preproc_function_def": VALUE},
    "elisp": {"special_form": VALUE, "list": FUNCTION},
    "elixir": {"call": FUNCTION, "unary_operator": LEAD},
    "haskell": {"function": FUNCTION, "bind": VALUE, "signature": LEAD, "class": TYPE},
    "hcl": {"block": TYPE, "attribute": VALUE},
    "java": {"annotation_type_declaration": TYPE},
    "kotlin": {"import_list": IMPORT},
    "ocaml": {"type_definition": TYPE},
    "php": {"php_tag": IMPORT},
    "racket": {"list": FUNCTION},
    "scheme": {"list": FUNCTION},
    "scala": {"package_clause": IMPORT, "type_definition": TYPE},
    "sql": {"statement": WRAPPER},
    "terraform": {"block": TYPE, "attribute": VALUE},
}
"""Node types by grammar, where the patterns miss or mistake them."""

_DEFINING_WORD = re.compile(r"^\(?(def|test|describe|setup)")
_TYPE_WORD = re.compile(r"^def(module|protocol|impl|record|type|struct|interface|class)")
_FORMS = {"call", "list_lit", "list", "defun"}
_CALLABLE = re.compile(r"function|lambda|closure|method|constructor|do_block|anonymous|subroutine|procedure")
_IDENTIFIER = re.compile(
    r"identifier$|^(name|word|constant|selectors|targets|target|type_head|bare_key|dotted_key|quoted_key|tag_name|variable"
    r"|class_name|setext_h\d|title|class|section_name|sym_lit|symbol|sym|value_name|module_name|func_name|property_name"
    r"|object_reference|message_name|service_name|enum_name|function_declaration_left|type_name|atx_heading"
    r"|setext_heading|function_command|macro_command|field_name|module_path|atom|package|function_name)$"
)
_INNER_FIELDS = ("declarator", "left", "key", "lhs", "pattern", "target")
_RECEIVER = re.compile(rb"([A-Za-z_]\w*)\s*(\[[^]]*\])?\s*\)$")
NAME_CHARS = 80


@cache
def roles(language: str) -> dict[int, str]:
    """The roles of a grammar's node types by their number, as far as they were asked for: see `role`."""
    return {}


def role(node: Node, language: str, known: dict[int, str]) -> str:
    """What `node` is; `known` is `roles(language)` and remembers the answer."""
    kind = node.kind_id
    found = known.get(kind)
    if found is None:
        name = node.type
        found = EXTRA.get(language, {}).get(name) or next((r for r, p in _PATTERNS.items() if p.search(name)), OTHER)
        known[kind] = found
    return found


def opens_a_body(node: Node) -> bool:
    """Whether what is inside `node` are statements that run, not definitions."""
    return bool(_CALLABLE.search(node.type))


def unwrapped(node: Node, language: str, known: dict[int, str]) -> tuple[Node, str]:
    """The definition that `node` wraps, if it does, and its role."""
    what = role(node, language, known)
    for _ in range(4):
        if what != WRAPPER:
            break
        inner = node.child_by_field_name("definition") or node.child_by_field_name("declaration")
        if inner is None:
            inside = [child for child in node.named_children if role(child, language, known) != LEAD]
            inner = inside[-1] if inside and (len(inside) == 1 or "template" in node.type) else None
        if inner is None:
            return node, TYPE if node.type.startswith("type_") else OTHER
        node, what = inner, role(inner, language, known)
    if node.type in _FORMS and what == FUNCTION:
        head = _words(node.named_children[0]) if node.named_children else ""
        what = OTHER if not _DEFINING_WORD.match(head) else TYPE if _TYPE_WORD.match(head) else FUNCTION
    return node, what


def name(node: Node) -> tuple[str, int]:
    """What `node` defines, and the row that says so; ("", the node's first row) where it has no name."""
    row = node.start_point[0]
    for depth in range(5):
        found = node.child_by_field_name("name")
        if found is None and node.type == "impl_item":
            found = node.child_by_field_name("type")
        if found is not None:
            receiver = node.child_by_field_name("receiver")
            owner = _RECEIVER.search(receiver.text or b"") if receiver is not None else None
            prefix = owner[1].decode(errors="replace") + "." if owner else ""
            return prefix + _words(found), found.start_point[0]
        inner = next(filter(None, map(node.child_by_field_name, _INNER_FIELDS)), None)
        children = node.named_children[:6] if inner is None else []
        if node.type in _FORMS and len(children) > 1 and depth == 0:
            return re.split(r"[(\s]", _words(children[1]).lstrip("( :\"'"))[0].strip('",'), row
        if inner is None:
            inner = next((child for child in children if _IDENTIFIER.search(child.type)), None)
            if inner is None and children and depth == 0 and node.type != "block":
                inner = next((child for child in children if not child.type.endswith("comment")), None)
            elif inner is not None and node.type == "block":  # HCL: resource "type" "name"
                labels = [child for child in children if child.type in ("identifier", "string_lit")]
                return ".".join(_words(label).strip('"') for label in labels), row
        if inner is None:
            return "", row
        if _IDENTIFIER.search(inner.type) and not inner.type.startswith("function_decl"):
            return _words(inner), inner.start_point[0]
        if depth and node.type in ("binary_operator", "assignment_expression", "assignment", "pair"):
            return _words(inner), inner.start_point[0]
        if node.type in ("pair", "block_mapping_pair", "assignment", "binary_operator", "binding"):
            return _words(inner), inner.start_point[0]
        node = inner
    return "", row


def _words(node: Node) -> str:
    """The first line of a node's text, short enough for a name."""
    text = (node.text or b"")[: 4 * NAME_CHARS].decode(errors="replace")
    return text.split("\n", 1)[0].strip("# \t\r:'\"")[:NAME_CHARS]
