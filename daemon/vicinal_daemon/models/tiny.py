"""A deterministic, very small, real language model: for tests and self-checks that need one without a
download.

Owns its shape, its vocabulary and its random weights. Its completions mean nothing; every mechanism works on
it as on a large one: a byte-level BPE tokenizer that spells any text, a Llama or a Qwen2 of two layers, a GGUF file of
the same.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Family = Literal["llama", "qwen2"]
"""Of the first, llama.cpp has the rows of queries and keys in another order than transformers."""

FIM_TOKENS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
END_TOKEN = "<|endoftext|>"  # noqa: S105 - a token of the vocabulary, not a password
CONTEXT_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a model. `vocabulary` None is the tokenizer's own size; `spread` is the deviation of the random weights."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int | None = None
    spread: float = 0.02


# Its spread is wide enough that logits differ clearly, and greedy answers do not hang on rounding.
TINY = Shape(hidden=32, layers=2, heads=4, kv_heads=2, inner=64, spread=0.3)
_EPSILON, _THETA = 1e-5, 10_000.0
_INDENTS = ("\n       ", "       ")
_WORDS = (" def", " return", " self", " import", " for", " in", " if", " None", " value", " name", " the")


def write_tiny_model(
    folder: Path, *, seed: int = 0, fill_in_the_middle: bool = False, shape: Shape = TINY, family: Family = "llama"
) -> Path:
    """Write the model (safetensors, config, tokenizer; under 1 MB) into `folder` and return `folder`.

    The same arguments give the same weights, bit for bit. With `fill_in_the_middle` the vocabulary also has
    the three `FIM_TOKENS`. Another `shape` makes a larger model, to measure speed with. The caller's random state is
    left alone.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = _tokenizer(fill_in_the_middle=fill_in_the_middle)
    end = tokenizer.token_to_id(END_TOKEN)
    config = AutoConfig.for_model(
        family,
        vocab_size=shape.vocabulary or tokenizer.get_vocab_size(),
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=CONTEXT_TOKENS,
        rms_norm_eps=_EPSILON,
        initializer_range=shape.spread,
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    # save_pretrained would draw a progress bar; the tied output head is the embedding and is not saved twice.
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    special = list(FIM_TOKENS) if fill_in_the_middle else []
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_TOKEN,
        eos_token=END_TOKEN,
        pad_token=END_TOKEN,
        additional_special_tokens=special,
        model_max_length=CONTEXT_TOKENS,
    ).save_pretrained(folder)
    return folder


def write_tiny_gguf(path: Path, folder: Path, family: Family = "llama") -> Path:
    """Write the tiny model in `folder` (see `write_tiny_model`) as a float32 GGUF file; return `path`."""
    import gguf
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = [tokenizer.id_to_token(index) for index in range(tokenizer.get_vocab_size())]
    special = {END_TOKEN, *FIM_TOKENS}
    end = tokens.index(END_TOKEN)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, family)
    writer.add_name("vicinal-tiny")
    writer.add_block_count(TINY.layers)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(TINY.hidden)
    writer.add_feed_forward_length(TINY.inner)
    writer.add_head_count(TINY.heads)
    writer.add_head_count_kv(TINY.kv_heads)
    writer.add_rope_dimension_count(TINY.hidden // TINY.heads)
    writer.add_rope_freq_base(_THETA)
    writer.add_layer_norm_rms_eps(_EPSILON)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = gguf.TokenType
    writer.add_token_types([kinds.CONTROL if token in special else kinds.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in _vocabulary()[1]])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_add_bos_token(False)
    for name, tensor in load_file(folder / "model.safetensors").items():
        writer.add_tensor(_gguf_name(name), _gguf_layout(name, tensor) if family == "llama" else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokenizer(*, fill_in_the_middle: bool) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokens, merges = _vocabulary()
    model = models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END_TOKEN, *(FIM_TOKENS if fill_in_the_middle else ())])
    return tokenizer


def _vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """Return the tokens in order of their ids, and the merges in order of rank.

    They are written by hand, as training would make them depend on the library's version. White space joins
    the word after it and runs of spaces are tokens, which is what makes cutting a prompt at white space
    harmful.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = sorted(ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    for text in (*_INDENTS, *_WORDS):
        spelled = text.replace(" ", "Ġ").replace("\n", "Ċ")  # the alphabet's letters for these two bytes
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in tokens:
                tokens.append(spelled[:end])
                merges.append((spelled[: end - 1], spelled[end - 1]))
    return tokens, merges


_GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def _gguf_name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{_GGUF_NAMES[part]}.{kind}"


def _gguf_layout(name: str, tensor: Any) -> Any:
    heads = TINY.heads if "q_proj" in name else TINY.kv_heads if "k_proj" in name else 0
    if not heads:
        return tensor
    # GGUF keeps the two halves of each rotary pair side by side; transformers keeps them half a head apart.
    rows, columns = tensor.shape
    return tensor.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
