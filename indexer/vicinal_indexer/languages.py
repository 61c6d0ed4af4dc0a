"""Which grammar a file is written in.

Owns the map from names, extensions and shebangs to the grammars that tree-sitter-language-pack bundles.
"""

import re
from pathlib import PurePosixPath

_BY_EXTENSION = {
    extension: language
    for language, extensions in {
        "python": "py pyi pyw",
        "typescript": "ts mts cts",
        "tsx": "tsx",
        "javascript": "js mjs cjs jsx",
        "go": "go",
        "rust": "rs",
        "java": "java",
        "c": "c h",
        "cpp": "cc cpp cxx hpp hh hxx",
        "csharp": "cs",
        "ruby": "rb rake gemspec",
        "php": "php",
        "kotlin": "kt kts",
        "swift": "swift",
        "scala": "scala sc",
        "lua": "lua",
        "bash": "sh bash zsh",
        "sql": "sql",
        "haskell": "hs",
        "elixir": "ex exs",
        "erlang": "erl hrl",
        "clojure": "clj cljs cljc",
        "julia": "jl",
        "r": "r",
        "perl": "pl pm",
        "dart": "dart",
        "zig": "zig",
        "ocaml": "ml",
        "objc": "m mm",
        "html": "html htm",
        "css": "css",
        "scss": "scss",
        "vue": "vue",
        "svelte": "svelte",
        "json": "json",
        "yaml": "yaml yml",
        "toml": "toml",
        "xml": "xml",
        "markdown": "md markdown",
        "rst": "rst",
        "proto": "proto",
        "graphql": "graphql gql",
        "hcl": "tf hcl",
        "nix": "nix",
        "powershell": "ps1 psm1",
    }.items()
    for extension in extensions.split()
}
_BY_NAME = {
    "makefile": "make",
    "dockerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "gemfile": "ruby",
    "rakefile": "ruby",
}
_BY_INTERPRETER = {
    "python": "python",
    "node": "javascript",
    "ruby": "ruby",
    "perl": "perl",
    "bash": "bash",
    "sh": "bash",
}
_SHEBANG = re.compile(r"^#!\s*\S*?(?:/env\s+(?:-S\s+)?)?([a-z]+)[\d.]*(?:\s|$)")


def detect(path: str, head: str = "") -> str:
    """The grammar of a file by its name, else by the `#!` line in `head`; "" if unknown."""
    name = PurePosixPath(path).name.lower()
    known = _BY_NAME.get(name) or _BY_EXTENSION.get(name.rpartition(".")[2] if "." in name else "")
    if known:
        return known
    shebang = _SHEBANG.match(head.split("\n", 1)[0])
    return _BY_INTERPRETER.get(shebang[1].rpartition("/")[2], "") if shebang else ""
