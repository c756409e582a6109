"""Pretrained causal language models of Hugging Face, for tasks with a class at every position."""

from typing import Any

import torch
from torch import Tensor, nn

from farfield.errors import InputError, MissingExtra
from farfield.nn.classifier import Classifier
from farfield.nn.hub import loading
from farfield.tasks.task import Task, Tokens


def language_model(path: str, task: Task) -> Classifier:
    """Return a causal language model with its own output layer: token ids (n, t) -> logits (n, t, vocabulary).

    ``features`` are the hidden states that the output layer reads, (n, t, width); where a model ties that layer to its input
    embedding, it stays tied.

    **Arguments:** ``path``: a local folder or a hub id, only safetensors weights are read; ``task``: of tokens, with the next
    token of each position as its label.

    Raises InputError where the model cannot be loaded, is no causal language model, or knows fewer tokens than the task uses;
    MissingExtra where transformers is absent.

    >>> from farfield import tasks
    >>> language_model("./no-such-folder", tasks.load("digits/rotation"))
    Traceback (most recent call last):
    farfield.errors.InputError: a language model takes tokens; the task digits/rotation has images of 1x8x8
    """
    if not isinstance(task.inputs, Tokens):
        raise InputError(f"a language model takes tokens; the task {task.name} has {task.inputs}")
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise MissingExtra("transformers", extra="hf", needed_by=f"the model hf:{path}") from None

    with loading(path, "weights") as where:
        model = AutoModelForCausalLM.from_pretrained(path, use_safetensors=True, dtype=torch.float32, **where)
    vocabulary = model.get_input_embeddings().num_embeddings
    if task.outputs.count > vocabulary:
        raise InputError(f"hf:{path} knows {vocabulary} tokens; the task {task.name} has {task.outputs.count}")
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and task.inputs.length > longest:
        raise InputError(
            f"hf:{path} reads up to {longest} tokens; the task {task.name} has blocks of {task.inputs.length}"
        )
    return Classifier(HiddenStates(model.base_model), model.get_output_embeddings(), learning_rate=2e-5)


class HiddenStates(nn.Module):
    """A transformer on token ids (n, t), and its last hidden state (n, t, width).

    >>> from transformers import GPT2Config, GPT2Model
    >>> small = GPT2Config(vocab_size=9, n_embd=4, n_layer=1, n_head=1, n_positions=8)
    >>> HiddenStates(GPT2Model(small))(torch.tensor([[5, 3, 0]])).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def get_input_embeddings(self) -> Any:
        """Return the layer that noise on the input is added to."""
        return self.backbone.get_input_embeddings()

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(input_ids=x, use_cache=False).last_hidden_state
