"""Which grammar a file is written in."""

import pytest
from tree_sitter_language_pack import get_parser

from vicinal_indexer import languages

GRAMMARS = sorted(languages.MAPPED - {languages.NOTEBOOK})


def test_many_languages_are_mapped() -> None:
    assert len(GRAMMARS) >= 30


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_mapped_grammar_parses(language: str) -> None:
    assert get_parser(language).parse(b"x\n").root_node is not None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("a.TSX", "tsx"),
        ("Makefile", "make"),
        ("Dockerfile.dev", "dockerfile"),
        ("x/CMakeLists.txt", "cmake"),
        ("BUILD.bazel", "starlark"),
        ("a.ipynb", "notebook"),
        ("main.tf", "terraform"),
        ("go.mod", "gomod"),
        (".bashrc", "bash"),
        ("a.unknown", ""),
        ("README", ""),
    ],
)
def test_detect_by_name(path: str, language: str) -> None:
    assert languages.detect(path) == language


@pytest.mark.parametrize(
    ("head", "language"),
    [
        ("#!/usr/bin/env python3\n", "python"),
        ("#!/usr/bin/env -S node --x\n", "javascript"),
        ("#!/bin/sh -e\n", "bash"),
        ("#! /usr/bin/perl5.36\n", "perl"),
        ("#!/bin/unknown\n", ""),
        ("python\n", ""),
        ("", ""),
    ],
)
def test_detect_by_shebang(head: str, language: str) -> None:
    assert languages.detect("tool", head) == language


@pytest.mark.parametrize(
    ("language", "text", "refined"),
    [
        ("c", "#pragma once\nnamespace a {\n}\n", "cpp"),
        ("c", "template <class T>\nclass A {\n};\n", "cpp"),
        ("c", "void f(std::string s);\n", "cpp"),
        ("c", "struct a { int class_; };\n", "c"),
        ("objc", "@interface A : B\n@end\n", "objc"),
        ("objc", "% about f\nfunction y = f(x)\ny = x;\nend\n", "matlab"),
        ("python", "namespace a {\n", "python"),
    ],
)
def test_text_decides_between_two_grammars(language: str, text: str, refined: str) -> None:
    assert languages.refined(language, text) == refined


@pytest.mark.parametrize(("kernel", "language"), [("Python3", "python"), ("C#", "csharp"), ("notebook", ""), ("?", "")])
def test_kernels(kernel: str, language: str) -> None:
    assert languages.of_kernel(kernel) == language
