"""The steps of batch norm between which processes exchange their statistics (MMSyncBN)."""

from torch import Tensor

from mmscale.operators.calling import write


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Write the means of the channels of `input`, (N, C, S), into `mean`, (C,)."""
    write(mean, input.float().mean((0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Write the mean squares of the distances from `mean` into `var`, (C,)."""
    write(var, (input.float() - mean[:, None]).square().mean((0, 2)))


def sync_bn_forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: float | Tensor,
    group_size: int,
) -> None:
    """Normalize, and follow the statistics.

    Args:
        input (Tensor): (N, C, S).
        mean, var (Tensor): Of all processes, (C,) float32.
        weight, bias (Tensor, optional): (C,).
        running_mean, running_var (Tensor, optional): (C,), which are changed.
        norm (Tensor): What was normalized, before weight and bias: a result, (N, C, S) float32.
        std (Tensor): The divisors: a result, (C,).
        output (Tensor): The result, (N, C, S).
        eps (float): Added to the variance.
        momentum (float): The share of this batch in the running statistics.
        group_size (int): Processes.
    """
    write(std, (var + eps).sqrt())
    write(norm, (input.float() - mean[:, None]) / std[:, None])
    if weight is None or bias is None:
        write(output, norm)
    else:
        write(output, norm * weight[:, None] + bias[:, None])
    if running_mean is not None and running_var is not None:
        count = input.size(0) * input.size(2) * group_size
        unbiased = var * count / (count - 1) if count > 1 else var
        write(running_mean, momentum * mean + (1 - momentum) * running_mean)
        write(running_var, momentum * unbiased + (1 - momentum) * running_var)


def sync_bn_backward_param(
    grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor
) -> None:
    """Write the gradients of weight and bias of this process, (C,) each."""
    write(grad_weight, (grad_output.float() * norm).sum((0, 2)))
    write(grad_bias, grad_output.float().sum((0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Write the gradient of the input, from those of weight and bias of all processes."""
    count = grad_output.size(0) * grad_output.size(2)
    common = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    write(grad_input, weight[:, None] * (grad_output.float() - common) / std[:, None])
