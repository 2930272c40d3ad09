"""Write text with an exported model of characters: NumPy, onnxruntime, and nothing of deepdsl.

    python generate.py characters.onnx --start "Alice " --length 400 --temperature 0.7 --seed 1

The file knows its characters: they are the names of its classes, in its metadata.  The model is
given the last characters and answers with a probability for each that may come next; one is drawn,
and so on.  A low temperature keeps to what is probable, a high one is adventurous; at 0 the most
probable character is always taken.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import onnxruntime


def characters(session: onnxruntime.InferenceSession) -> list[str]:
    """The characters that the model's classes mean."""
    metadata = session.get_modelmeta().custom_metadata_map
    names = json.loads(metadata.get("deepdsl.classes", "[]"))
    if not names or any(len(name) != 1 for name in names):
        raise SystemExit("the classes of this model are no characters")
    return [str(name) for name in names]


def generate(
    session: onnxruntime.InferenceSession, start: str, length: int, temperature: float, seed: int
) -> str:
    """`start` and this many characters after it."""
    names = characters(session)
    numbers = {name: number for number, name in enumerate(names)}
    unknown = sorted(set(start) - set(numbers))
    if unknown:
        raise SystemExit(f"the model does not know {' '.join(map(repr, unknown))}")
    source = session.get_inputs()[0]
    width, by_position = source.shape[1], len(session.get_outputs()[0].shape) == 3
    rng = np.random.default_rng(seed)
    text = [numbers[character] for character in start]
    for _ in range(length):
        window = text[-width:]
        rest = [0] * (width - len(window))
        # What is after a position does not change its answer: there the window is filled up.
        # A model with one answer for the whole window has it at the end.
        filled = window + rest if by_position else rest + window
        (answer,) = session.run(None, {source.name: np.array([filled], np.int64)})
        shares = answer[0, len(window) - 1] if by_position else answer[0]
        text.append(draw(shares, temperature, rng))
    return "".join(names[number] for number in text)


def draw(shares: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    """A class at random, by its probability to the power of 1 / temperature."""
    if temperature == 0:
        return int(shares.argmax())
    logits = np.log(np.maximum(shares.astype(np.float64), 1e-30)) / temperature
    weights = np.exp(logits - logits.max())
    return int(rng.choice(len(weights), p=weights / weights.sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write text with an exported model of characters.")
    parser.add_argument("model", help="the ONNX file")
    parser.add_argument("--start", default="Alice ", help="what the text begins with")
    parser.add_argument("--length", type=int, default=400, help="how many characters follow")
    parser.add_argument("--temperature", type=float, default=0.7, help="0 is the most probable")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another text")
    options = parser.parse_args()
    if not options.start:
        parser.error("--start takes at least one character")
    if options.temperature < 0 or options.length < 0:
        parser.error("--temperature and --length are at least 0")
    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    print(generate(session, options.start, options.length, options.temperature, options.seed))


if __name__ == "__main__":
    main()
