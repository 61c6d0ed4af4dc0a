"""Turns a quantised GGUF file into the float32 folder that torch loads and tunes.

Owns the conversion, which runs in a child process: torch's memory goes back to the system when it ends, a
crash of native code on a damaged file ends the child only, and the libraries' own progress bars stay silent.
It does not know where the file came from or where the folder will live.

Run as a module it is that child: `python -m vicinal_daemon.models.dequantise SOURCE TARGET`. It answers in
lines of JSON on standard output: `{"step": 1}`, and at most one `{"error": "damaged" | "unusable", "message":
"..."}`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from vicinal_daemon.errors import ModelDamaged, ModelError, ModelUnusable
from vicinal_daemon.models.formats import check_gguf
from vicinal_daemon.models.progress import Progress

_STEPS = 4
_STAGE = "dequantise"


def dequantise(source: Path, target: Path, progress: Progress) -> None:
    """Write the float32 copy of the GGUF file `source`, with its tokenizer, into the empty folder `target`.

    Takes tens of seconds and about ten times the file's size in memory. Progress counts four steps.

    Raises:
        ModelDamaged: if the file is not GGUF or is cut off.
        ModelUnusable: if transformers does not know its architecture or its tokenizer.
        ModelError: if the conversion dies otherwise, for example for want of memory.
    """
    check_gguf(source)
    target.mkdir(parents=True, exist_ok=True)
    progress(_STAGE, 0, _STEPS)
    # -P and the target as the working folder: a module that happens to lie where the user stands is never
    # imported. Popen inherits standard error into a file, as a pipe nobody reads would block the child.
    errors = target.with_name(f"{target.name}.log")
    try:
        with errors.open("w+", encoding="utf-8", errors="replace") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", __spec__.name, str(source.resolve()), str(target.resolve())],
                cwd=target,
                env=_child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
            )
            with child:
                try:
                    refusal = _follow(child, progress)
                except BaseException:
                    child.kill()
                    raise
            log.seek(0)
            last_words = (log.read().strip().splitlines() or ["no message"])[-1]
    finally:
        errors.unlink(missing_ok=True)
    if refusal is not None:
        kind, message = refusal
        raise (ModelDamaged if kind == "damaged" else ModelUnusable)(f"{source}: {message}")
    if child.returncode != 0:
        raise ModelError(
            f"Converting {source} ended with status {child.returncode}: {last_words}",
            hint="Check free memory and disk with: vicinal doctor",
        )


def _follow(child: "subprocess.Popen[str]", progress: Progress) -> tuple[str, str] | None:
    refusal = None
    for line in child.stdout or ():
        try:
            message = json.loads(line)
        except ValueError:
            continue  # libraries may print; only lines of JSON objects are ours
        if not isinstance(message, dict):
            continue
        if "step" in message:
            progress(_STAGE, int(message["step"]), _STEPS)
        elif "error" in message:
            refusal = (str(message["error"]), str(message["message"]))
    return refusal


def _child_environment() -> dict[str, str]:
    quiet = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONUTF8": "1"}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return {**os.environ, **quiet, **offline}


def _say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _refuse(kind: str, error: Exception) -> int:
    _say(error=kind, message=str(error).strip() or type(error).__name__)
    return 1


def _check_tensors(source: Path) -> None:
    from gguf import GGUFReader

    size = source.stat().st_size
    for tensor in GGUFReader(source).tensors:
        if tensor.data_offset + tensor.n_bytes > size:
            raise ValueError(f"the file ends before tensor {tensor.name} does")


def _child(source: Path, target: Path) -> int:
    try:
        _check_tensors(source)
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        return _refuse("damaged", error)
    _say(step=1)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32, local_files_only=True
        )
        _say(step=2)
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
        _say(step=3)
    except (ValueError, KeyError, NotImplementedError) as error:
        return _refuse("unusable", error)
    # The weights are float32 now; with these left, the saved copy would claim to be quantised and fail to
    # load.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    _say(step=_STEPS)
    return 0


if __name__ == "__main__":
    sys.exit(_child(Path(sys.argv[1]), Path(sys.argv[2])))
