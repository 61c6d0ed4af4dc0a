"""How good a predicted text is. Pure; the model's side (bits per byte) is `generate.post.bits_per_byte`.

Owns exact match and edit similarity as RepoEval defines them.
"""


def normalised(text: str, lines: int | None = None) -> list[str]:
    """The lines of `text`, each stripped, without blank ones; at most `lines` of them."""
    kept = [line.strip() for line in text.split("\n") if line.strip()]
    return kept if lines is None else kept[:lines]


def is_exact(predicted: str, truth: str) -> bool:
    """Whether the prediction, cut to as many lines as the truth has, says the same; never of an empty truth."""
    wanted = normalised(truth)
    return bool(wanted) and normalised(predicted, len(wanted)) == wanted


def edit_similarity(predicted: str, truth: str) -> float:
    """1 - Levenshtein / max length, of the normalised texts, in [0, 1]; 1 for two empty texts."""
    wanted = normalised(truth)
    first, second = "\n".join(normalised(predicted, len(wanted))), "\n".join(wanted)
    longest = max(len(first), len(second))
    return 1 - levenshtein(first, second) / longest if longest else 1.0


def levenshtein(first: str, second: str) -> int:
    """How many characters must be inserted, deleted or replaced to make one text the other."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]
