"""How much of a pretrained model is trained: all of it, its head only, or small additions (LoRA)."""

import warnings

from torch import Tensor, nn

from farfield.errors import InputError, MissingExtra
from farfield.nn.classifier import Classifier
from farfield.nn.options import Option

OPTIONS = {
    "tune": Option(str, "full", choices=("full", "probe", "lora")),
    "rank": Option(int, 8, low=1, high=1024),
}


def tune(model: Classifier, how: str, *, rank: int = 8, name: str = "the model") -> Classifier:
    """Set what of a classifier is trained, in place, and a learning rate that suits it.

    - "full": everything; the learning rate stays as it is.
    - "probe": the head on the frozen encoder, which also stays in evaluation mode; learning rate 1e-3.
    - "lora": the head, and a low-rank addition to every linear layer of the encoder; learning rate 2e-4.

    **Arguments:** ``rank`` of the additions (for "lora"); ``name`` stands in errors.

    Raises InputError where ``how`` is another word or LoRA finds no linear layer, MissingExtra where peft is absent.

    Source: Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022, through the library peft.

    >>> model = tune(Classifier(nn.Linear(4, 8), nn.Linear(8, 2)), "probe")
    >>> [name for name, p in model.named_parameters() if p.requires_grad]
    ['head.weight', 'head.bias']
    """
    if how == "probe":
        model.encoder = Frozen(model.encoder)
        model.learning_rate = 1e-3
    elif how == "lora":
        _add_lora(model, rank, name)
        model.learning_rate = 2e-4
    elif how != "full":
        raise InputError(f"tune={how} of {name} must be full, probe or lora")
    return model


class Frozen(nn.Module):
    """A module that training leaves as it is: no gradients, and always in evaluation mode (BatchNorm, dropout).

    >>> frozen = Frozen(nn.Dropout(0.5)).train()
    >>> frozen.module.training
    False
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


def _add_lora(model: Classifier, rank: int, name: str) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise MissingExtra("peft", extra="hf", needed_by=f"tune=lora of {name}") from None

    # Below the encoder itself: peft replaces layers within the module that it is given.
    inside = [m for label, m in model.encoder.named_modules() if label]
    # GPT-2 and its kin write their linear layers as transformers' Conv1D.
    if not any(isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D" for m in inside):
        raise InputError(f"tune=lora of {name}: its encoder has no linear layer to add to; use tune=full or tune=probe")
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    with warnings.catch_warnings():
        # peft sets this itself for Conv1D, and says so.
        warnings.filterwarnings("ignore", message="fan_in_fan_out")
        inject_adapter_in_model(config, model.encoder)
