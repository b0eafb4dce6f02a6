"""Focal losses. mmcv has them for GPUs alone; on CPUs mmdet computes them by itself."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmscale.operators.calling import at_least_single, write

TINY = torch.finfo(torch.float32).tiny  # the least number that a logarithm is taken of


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """The focal loss of every class by itself.

    Args:
        input (Tensor): Logits, (N, C).
        target (Tensor): Classes, (N,) int64; C is the background.
        weight (Tensor): Factors of the classes, (C,), or empty.
        output (Tensor): The result, (N, C).
        gamma (float): The power that lowers the loss of what is classified well already.
        alpha (float): The weight of an object; that of background is 1 - alpha.
    """
    p, positive = at_least_single(input).sigmoid(), _one_hot(target, input)
    object_loss = (1 - p) ** gamma * p.clamp(min=TINY).log()
    background_loss = p**gamma * (1 - p).clamp(min=TINY).log()
    loss = -torch.where(positive, alpha * object_loss, (1 - alpha) * background_loss)
    write(output, loss * _factors(weight, target)[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write the derivatives of the losses by the logits into `grad_input`, (N, C)."""
    p, positive = at_least_single(input).sigmoid(), _one_hot(target, input)
    of_object = (1 - p) ** gamma * (1 - p - gamma * p * p.clamp(min=TINY).log())
    of_background = p**gamma * (gamma * (1 - p) * (1 - p).clamp(min=TINY).log() - p)
    grad = -torch.where(positive, alpha * of_object, (1 - alpha) * of_background)
    write(grad_input, grad * _factors(weight, target)[:, None])


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """The focal loss of the right class.

    Args:
        input (Tensor): Probabilities, (N, C).
        target (Tensor): Classes, (N,) int64; a negative one counts nothing.
        weight (Tensor): Factors of the classes, (C,), or empty.
        output (Tensor): The result, (N,).
        gamma (float): The power that lowers the loss of what is classified well already.
        alpha (float): The weight of all.
    """
    p = _of_target(input, target)
    loss = -alpha * (1 - p) ** gamma * p.clamp(min=TINY).log()
    write(output, torch.where(target >= 0, loss * _factors(weight, target), 0))


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the derivatives by the logits into `grad_input`, (N, C); `buff`, (N,), is room."""
    p = _of_target(input, target)
    rising = gamma * (1 - p) ** (gamma - 1) * p * p.clamp(min=TINY).log()
    slope = alpha * (rising - (1 - p) ** gamma) * _factors(weight, target)
    write(buff, torch.where(target >= 0, slope, 0))
    write(grad_input, buff[:, None] * (_one_hot(target, input).to(input) - input))


def _one_hot(target, input):
    return target[:, None] == torch.arange(input.size(1), device=input.device)


def _of_target(probabilities, target):
    return at_least_single(probabilities).gather(1, target.clamp(min=0)[:, None])[:, 0]


def _factors(weight, target):
    """The factor of each target: 1 of the background and where there are no weights."""
    if not weight.numel():
        return weight.new_ones(1)
    return F.pad(at_least_single(weight), (0, 1), value=1)[target.clamp(min=0)]
