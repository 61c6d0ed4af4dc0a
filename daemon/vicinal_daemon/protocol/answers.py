"""What Vicinal says: the answer to a place in a file, and the findings for a question.

Owns their shapes; `docs/answer.schema.json` and `docs/findings.schema.json` are generated from here.
"""

from typing import Literal

from pydantic import Field

from vicinal_daemon.protocol.message import PROTOCOL_VERSION, Message

AdaptationKind = Literal["fresh", "cached", "warm", "base"]


class Text(Message):
    """Text that a model wrote, and how likely it found it."""

    text: str = Field(description="what would stand at the cursor; may be empty")
    tokens: int = Field(ge=0, description="tokens generated for it, before trimming")
    mean_log_probability: float | None = Field(description="natural log, over the tokens shown; null if none")
    seconds: float = Field(ge=0)
    finished: bool = Field(default=True, description="whether it ended by itself, not at generate.max_tokens")


class Reason(Message):
    """Why an answer is not surer."""

    kind: Literal["unknown", "unlearned", "ambiguous"] = Field(
        description="`unknown`: the repository has nothing like this; `unlearned`: the model has not learned it yet; "
        "`ambiguous`: the text itself could go on in several ways"
    )
    text: str = Field(description="the same in words, with the numbers")


class Confidence(Message):
    """How far to trust the answer."""

    value: float = Field(
        ge=0,
        le=1,
        description="the probability that the text shown is right: what the user wants there, character by character "
        "but for white space at its ends (docs/uncertainty.md)",
    )
    calibrated: bool = Field(default=True, description="whether `value` is a probability; it always is, from 0.6 on")
    feedbacks: int = Field(default=0, ge=0, description="judgements of this repository's users that corrected it")
    reasons: list[Reason] = Field(default_factory=list, description="why it is not surer; empty if it is sure")
    explained: float = Field(ge=0, le=1, description="1 - sigma_n^2 / sigma_0^2")
    token_probability: float = Field(ge=0, le=1, description="geometric mean over the tokens shown")
    least_probability: float = Field(ge=0, le=1, description="of the least likely token shown")
    least_token: str = Field(default="", description="the least likely token shown")
    first_entropy: float = Field(default=0.0, ge=0, description="nats, at the first token of the text")
    similarity: float = Field(
        default=0.0, ge=0, description="the largest kernel value between the prompt and a candidate"
    )
    change: float | None = Field(
        default=None,
        description="by how much tuning raised the mean log probability of this text; null if that was not measured",
    )
    shown_tokens: int = Field(default=0, ge=0, description="tokens of the text shown, as they were generated")
    sigma_0: float = Field(ge=0, description="uncertainty at the prompt before any code was studied")
    sigma_n: float = Field(ge=0, description="after the code that was chosen")
    sigma_inf: float = Field(ge=0, description="irreducible: what no code of this repo can remove")
    curve: list[float] = Field(description="sigma after 0, 1, .. n picks")


class Evidence(Message):
    """Code of the repository that the answer rests on."""

    path: str = Field(description="relative to the repository, with /")
    start_line: int = Field(ge=1)
    end_line: int = Field(ge=1)
    symbol: str = Field(description="dotted path of the definition, empty if none")
    share: float = Field(ge=0, le=1, description="its share of the reduction in variance, repeats added up")
    steps: int = Field(ge=0, description="training steps taken on it")
    in_prompt: bool = Field(description="whether the model also read it in the prompt")


class Guard(Message):
    """What the adapter did to the loss on the visible context."""

    base: float = Field(description="nats per token without the adapter")
    full: float = Field(description="with all of it")
    half: float = Field(description="with half of it")


class Forecast(Message):
    """What was to be expected here before anything was done, in bits per byte; negative: harm (docs/policy.md)."""

    prompt: float = Field(description="gain of code in the prompt")
    tuning: float = Field(description="gain of tuning, on top of that")
    steps: int = Field(ge=0, description="steps that were worth their time")
    shows: bool = Field(description="whether code in the prompt was worth its time")


class Adaptation(Message):
    """What was learned for this answer."""

    kind: AdaptationKind = Field(
        description="`fresh`: tuned for this request; `cached`: tuned before, for this selection or one near to it; "
        "`warm`: the repository's own adapter; `base`: none, or the guard dropped it"
    )
    strategy: Literal["sift", "nn", "mmr", "uncertainty", "random", "none"]
    steps: int = Field(ge=0, description="gradient steps taken")
    losses: list[float] = Field(description="nats per token of each step's example, before its step")
    scale: float = Field(ge=0, le=1, description="how much of the adapter the guard kept")
    guard: Guard | None = Field(description="null if the guard was off or nothing was tuned")
    nearness: float = Field(
        default=1.0, ge=0, le=1, description="of a cached adapter's selection to this one; 1 is the same selection"
    )
    behind: bool = Field(default=False, description="whether tuning goes on behind this answer, for the next one")
    forecast: Forecast | None = Field(default=None, description="null where there was nothing to learn from")


class Answer(Message):
    """The answer to one request (`vicinal complete --json`)."""

    version: Literal[1] = PROTOCOL_VERSION
    id: str = Field(default="", description="what feedback refers to; empty if no daemon answered")
    repository: str
    path: str = Field(description="relative to the repository, with /")
    line: int = Field(ge=1, description="of the cursor")
    column: int = Field(ge=1, description="of the cursor, in characters")
    completion: Text
    alternatives: list[Text] = Field(
        default_factory=list,
        description="other completions, if asked for, the likeliest tokens first; all differ, none is empty",
    )
    base: Text | None = Field(
        description="the same place by the base model, which saw only this file; null if it was not asked for"
    )
    present: str = Field(description="what stands there in the file; the model did not see it")
    confidence: Confidence
    adaptation: Adaptation
    evidence: list[Evidence] = Field(description="by first pick")
    candidates: int = Field(ge=0, description="chunks that could be chosen")
    skipped_files: int = Field(ge=0)
    model: str
    device: str
    seed: int
    trigger: Literal["invoked", "automatic"] = "invoked"
    typed_ahead: bool = Field(default=False, description="whether this is the rest of an earlier answer, typed into")
    seconds: dict[str, float] = Field(description="wall-clock time of each stage")


class Finding(Message):
    """Code of the repository that tells something about a question."""

    path: str = Field(description="relative to the repository, with /")
    start_line: int = Field(ge=1)
    end_line: int = Field(ge=1)
    language: str
    symbol: str = Field(description="dotted path of the definition, empty if none")
    header: str = Field(description="first line of the definition around it, empty if none")
    text: str
    share: float = Field(ge=0, le=1, description="its share of the reduction in variance")
    similarity: float = Field(ge=0, le=1, description="kernel of question and chunk")


class Sentence(Message):
    """A sentence of a written answer and the findings that bear it out."""

    text: str
    cites: list[int] = Field(description="numbers of findings, from 1; empty if none bears it out")


class WrittenAnswer(Message):
    """What a language model made of the findings."""

    sentences: list[Sentence]
    supported: float = Field(ge=0, le=1, description="the share of sentences that cite a finding")
    mean_log_probability: float | None = Field(description="natural log, over the tokens written; null if none")
    model: str


class Findings(Message):
    """The answer to one question (`vicinal query --json`)."""

    version: Literal[1] = PROTOCOL_VERSION
    repository: str
    question: str
    parts: list[str] = Field(description="what was looked for: the clauses of the question")
    strategy: Literal["sift", "nn"]
    findings: list[Finding] = Field(description="most telling first")
    candidates: int = Field(ge=0, description="chunks that could be chosen")
    sigma_0: float = Field(ge=0, description="uncertainty at the question before any code was read")
    sigma_n: float = Field(ge=0, description="after the findings")
    sigma_inf: float = Field(ge=0, description="after all candidates: what this repository cannot tell")
    explained: float = Field(ge=0, le=1, description="1 - sigma_n^2 / sigma_0^2, the mean over the parts")
    coverable: float = Field(ge=0, le=1, description="1 - sigma_inf^2 / sigma_0^2")
    thin: bool = Field(
        description="whether the findings are so little alike to the question that they are not to be relied on"
    )
    unknown_words: list[str] = Field(description="words of the question that no candidate contains")
    answer: WrittenAnswer | None = Field(description="null if none was asked for")
    seconds: dict[str, float] = Field(default_factory=dict, description="wall-clock time of each stage")
