"""A short written answer, grounded in findings.

Owns the prompt of a question, and the check of each sentence against the findings: a small model cites badly, so the
citations are not its own. Whether evidence was thin is the findings' matter.
"""

import re
from collections.abc import Sequence

from vicinal_daemon.generate.engine import Cancelled, Engine
from vicinal_daemon.generate.post import is_looping
from vicinal_daemon.generate.prompt import Offsets, Prompt, first_tokens
from vicinal_daemon.protocol import Finding, Findings, Sentence, WrittenAnswer
from vicinal_daemon.query import telling_words

SNIPPETS = 4
SNIPPET_TOKENS = 160
MAX_TOKENS = 120
MOST_SENTENCES = 4

BORNE_OUT = 0.5
"""A finding bears a sentence out if it holds at least this share of its telling words..."""

FEW_WORDS = 3
"""...of which there must be so many."""

_SYSTEM = (
    "You answer questions about a code base. Use only the code that is shown. Answer in two or three short sentences "
    "and name the functions, classes and files that matter. If the code does not tell, say so."
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def write_answer(findings: Findings, engine: Engine, cancelled: Cancelled = lambda: False) -> WrittenAnswer:
    """What the model says of the first findings, each sentence with the findings that bear it out.

    Raises:
        ModelError: the model cannot be run.
    """
    text = engine.codec.chat(*messages(findings, engine.codec.offsets))

    def enough(written: str) -> bool:
        return is_looping(written) or len(_SENTENCE.split(written.strip() + " ")) > MOST_SENTENCES

    written = engine.generate(
        Prompt(text, (0, len(text)), heals=False), enough, max_tokens=MAX_TOKENS, cancelled=cancelled
    )
    return read_answer(written.text, written.log_probabilities, findings, engine.name)


def messages(findings: Findings, offsets: Offsets) -> tuple[str, str]:
    """What a model is told before it answers: its task, then the first findings and the question."""
    shown = findings.findings[:SNIPPETS]
    texts = [first_tokens(finding.text, SNIPPET_TOKENS, offsets) for finding in shown]
    code = "\n\n".join(
        f"File {f.path}, lines {f.start_line}-{f.end_line}:\n{text}" for f, text in zip(shown, texts, strict=True)
    )
    return _SYSTEM, f"{code}\n\nQuestion: {findings.question}"


def read_answer(text: str, log_probabilities: Sequence[float], findings: Findings, model: str) -> WrittenAnswer:
    """What a model wrote, cut into sentences, each with the findings that bear it out."""
    sentences = [Sentence(text=s, cites=cites(s, findings.findings)) for s in sentences_of(text)]
    count = len(log_probabilities)
    return WrittenAnswer(
        sentences=sentences,
        supported=sum(bool(s.cites) for s in sentences) / len(sentences) if sentences else 0.0,
        mean_log_probability=sum(log_probabilities) / count if count else None,
        model=model,
    )


def sentences_of(text: str) -> list[str]:
    """The first sentences of a text that was written; one that was cut off is kept and marked so."""
    found = [part.strip() for part in _SENTENCE.split(text) if part.strip()][:MOST_SENTENCES]
    if found and found[-1][-1] not in ".!?:`":
        found[-1] += " ..."
    return found


def cites(sentence: str, findings: Sequence[Finding]) -> list[int]:
    """The numbers, from 1, of the findings that bear a sentence out, the best two at most."""
    words = set(telling_words(sentence))
    if len(words) < FEW_WORDS:
        return []
    shares = []
    for number, finding in enumerate(findings, start=1):
        told = set(telling_words(f"{finding.path} {finding.symbol} {finding.header} {finding.text}"))
        shares.append((len(words & told) / len(words), number))
    best = sorted((s for s in shares if s[0] >= BORNE_OUT), key=lambda s: (-s[0], s[1]))[:2]
    return sorted(number for _, number in best)
