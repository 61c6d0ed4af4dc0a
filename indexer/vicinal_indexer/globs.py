"""Globs over repository paths, as regular expressions that databases understand.

Owns the reading of a glob. Pure.
"""

import re

_PARTS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?")


def to_regex(glob: str) -> str:
    """An anchored expression without look-around for a glob over POSIX paths.

    `*` crosses no `/`, `**` does. A glob without a `/` is matched against every part of a path, and one that names a
    folder matches what is in it.

    >>> bool(re.search(to_regex("*.py"), "a/b.py")), bool(re.search(to_regex("src"), "src/x/y.go"))
    (True, True)
    >>> bool(re.search(to_regex("src/*.py"), "src/a/b.py")), bool(re.search(to_regex("src/**/*.py"), "src/b.py"))
    (False, True)
    """
    glob = glob.removeprefix("./").rstrip("/")
    out, last = [], 0
    for token in _TOKEN.finditer(glob):
        out.append(re.escape(glob[last : token.start()]))
        out.append(_PARTS[token[0]])
        last = token.end()
    out.append(re.escape(glob[last:]))
    start = "^" if "/" in glob else "(?:^|/)"
    return f"{start}{''.join(out)}(?:/|$)"
