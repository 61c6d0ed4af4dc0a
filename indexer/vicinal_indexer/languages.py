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
        "cpp": "cc cpp cxx c++ hpp hh hxx h++ ipp inl ino",
        "csharp": "cs csx",
        "ruby": "rb rake gemspec",
        "php": "php phtml",
        "kotlin": "kt kts",
        "swift": "swift",
        "scala": "scala sc sbt",
        "groovy": "groovy gradle",
        "lua": "lua",
        "luau": "luau",
        "bash": "sh bash zsh bats",
        "fish": "fish",
        "powershell": "ps1 psm1 psd1",
        "sql": "sql",
        "haskell": "hs",
        "purescript": "purs",
        "elm": "elm",
        "ocaml": "ml",
        "ocaml_interface": "mli",
        "fsharp": "fs fsx",
        "fsharp_signature": "fsi",
        "elixir": "ex exs",
        "heex": "heex",
        "erlang": "erl hrl",
        "gleam": "gleam",
        "clojure": "clj cljs cljc edn",
        "commonlisp": "lisp cl asd",
        "elisp": "el",
        "scheme": "scm ss sld",
        "racket": "rkt",
        "fennel": "fnl",
        "julia": "jl",
        "r": "r",
        "matlab": "matlab",
        "fortran": "f f90 f95 f03 f08 for",
        "ada": "adb ads",
        "pascal": "pas dpr lpr",
        "perl": "pl pm t",
        "tcl": "tcl",
        "dart": "dart",
        "zig": "zig",
        "nim": "nim nims",
        "d": "d di",
        "odin": "odin",
        "v": "vv vsh",
        "hare": "ha",
        "haxe": "hx",
        "pony": "pony",
        "actionscript": "as",
        "gdscript": "gd",
        "objc": "m mm",
        "cuda": "cu cuh",
        "ispc": "ispc",
        "glsl": "glsl vert frag comp geom tesc tese",
        "hlsl": "hlsl fx hlsli",
        "wgsl": "wgsl",
        "verilog": "v sv svh vh",
        "vhdl": "vhd vhdl",
        "asm": "asm s",
        "llvm": "ll",
        "tablegen": "td",
        "wat": "wat",
        "solidity": "sol",
        "cairo": "cairo",
        "starlark": "bzl star bazel",
        "puppet": "pp",
        "nix": "nix",
        "hcl": "hcl",
        "terraform": "tf tfvars",
        "bicep": "bicep",
        "rego": "rego",
        "jsonnet": "jsonnet libsonnet",
        "meson": "meson",
        "gn": "gn gni",
        "ninja": "ninja",
        "cmake": "cmake",
        "make": "mk mak",
        "bitbake": "bb bbappend bbclass",
        "html": "html htm xhtml",
        "css": "css",
        "scss": "scss",
        "vue": "vue",
        "svelte": "svelte",
        "astro": "astro",
        "twig": "twig",
        "json": "json json5 jsonc",
        "notebook": "ipynb",
        "yaml": "yaml yml",
        "toml": "toml",
        "ini": "ini cfg",
        "properties": "properties",
        "kdl": "kdl",
        "ron": "ron",
        "xml": "xml xsd xsl xslt csproj props targets plist",
        "dtd": "dtd",
        "markdown": "md markdown mdx",
        "rst": "rst",
        "org": "org",
        "latex": "tex sty cls",
        "bibtex": "bib",
        "typst": "typ",
        "mermaid": "mmd mermaid",
        "proto": "proto",
        "thrift": "thrift",
        "capnp": "capnp",
        "smithy": "smithy",
        "graphql": "graphql gql",
        "prisma": "prisma",
        "sparql": "rq sparql",
        "vim": "vim",
        "qmljs": "qml",
        "po": "po pot",
    }.items()
    for extension in extensions.split()
}
_BY_NAME = {
    "makefile": "make",
    "gnumakefile": "make",
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "meson.build": "meson",
    "build.bazel": "starlark",
    "gemfile": "ruby",
    "rakefile": "ruby",
    "podfile": "ruby",
    "vagrantfile": "ruby",
    "jenkinsfile": "groovy",
    "go.mod": "gomod",
    "kconfig": "kconfig",
    "requirements.txt": "requirements",
    ".gitignore": "gitignore",
    ".gitattributes": "gitattributes",
    ".editorconfig": "ini",
    ".bashrc": "bash",
    ".zshrc": "bash",
    ".profile": "bash",
    ".vimrc": "vim",
}
_BY_INTERPRETER = {
    "python": "python",
    "node": "javascript",
    "deno": "typescript",
    "ruby": "ruby",
    "perl": "perl",
    "php": "php",
    "lua": "lua",
    "bash": "bash",
    "sh": "bash",
    "zsh": "bash",
    "dash": "bash",
    "fish": "fish",
    "tclsh": "tcl",
    "julia": "julia",
    "escript": "erlang",
    "elixir": "elixir",
    "groovy": "groovy",
}
_BY_KERNEL = {"python3": "python", "ipython": "python", "c++": "cpp", "c#": "csharp", "f#": "fsharp", "ir": "r"}

NOTEBOOK = "notebook"
"""No grammar: the cells of a notebook have their own languages."""

MAPPED = frozenset({*_BY_EXTENSION.values(), *_BY_NAME.values()})
"""Every language that `detect` can name."""

_CPP_IN_HEADER = re.compile(
    r"^[ 	]*(?:namespace\b|template[ \t]*<|class[ \t]+\w+[^;\n]*$|public:|private:|using[ \t]+\w)|\bstd::",
    re.MULTILINE,
)
_SHEBANG = re.compile(r"^#!\s*\S*?(?:/env\s+(?:-S\s+)?)?([a-z]+)[\d.]*(?:\s|$)")
_MATLAB = re.compile(r"^[ \t]*(?:function\b|classdef\b|%)", re.MULTILINE)
_OBJECTIVE_C = re.compile(r"^[ \t]*(?:#|//|/\*|@\w)", re.MULTILINE)


def detect(path: str, head: str = "") -> str:
    """The grammar of a file by its name, else by the `#!` line in `head`; "" if unknown."""
    name = PurePosixPath(path).name.lower()
    if name.startswith(("dockerfile.", "makefile.")):
        name = name.partition(".")[0]
    known = _BY_NAME.get(name) or _BY_EXTENSION.get(name.rpartition(".")[2] if "." in name else "")
    if known:
        return known
    shebang = _SHEBANG.match(head.split("\n", 1)[0])
    return _BY_INTERPRETER.get(shebang[1].rpartition("/")[2], "") if shebang else ""


def refined(language: str, text: str) -> str:
    """The grammar of `text` where a file's name leaves two: a `.h` may be C or C++, a `.m` Objective-C or MATLAB.

    C++ read as C is one error after the other, and slow.
    """
    if language == "c" and _CPP_IN_HEADER.search(text):
        return "cpp"
    if language == "objc" and _MATLAB.search(text) and not _OBJECTIVE_C.search(text):
        return "matlab"
    return language


def of_kernel(name: str) -> str:
    """The grammar of a notebook's cells by what its kernel calls the language; "" if unknown."""
    name = name.strip().lower()
    known = _BY_KERNEL.get(name, name)
    return known if known in MAPPED and known != NOTEBOOK else _BY_EXTENSION.get(known, "")
