"""A profile names operators and the least time."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmscale import benchmark
from mmscale.benchmark import Case
from mmscale.errors import UserError

SMALL = (1, 64, 64)


def test_a_profile_names_operators_and_the_least_time():
    slow = dict(matmul_gflops=1.0, copy_gbs=1e9)  # counts the operations
    case = Case('resnet-50', 'channels-last')
    profile = benchmark.profile(case, SMALL, slow, passes=1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        benchmark.build('resnet-50')(torch.rand(1, 3, 64, 64))
    flops = counter.get_total_flops()
    assert profile['convolutions_at_ceilings_ms'] == pytest.approx(flops / 1e6)
    operators = profile['operators']
    assert any('convolution' in row['operator'] for row in operators)
    assert 0.5 < sum(row['share'] for row in operators) <= 1
    assert [row['ms'] for row in operators] == sorted(
        (row['ms'] for row in operators), reverse=True
    )

    step = benchmark.profile(case, SMALL, slow, training=True, passes=1)
    stem = 2 * 64 * 32 * 32 * 3 * 7 * 7  # whose input has no gradient
    assert step['convolutions_at_ceilings_ms'] == pytest.approx((3 * flops - stem) / 1e6)

    narrow = dict(matmul_gflops=1e9, copy_gbs=1.0)  # counts the bytes
    model = benchmark.profile(Case('mobilenet-v2', 'eager'), SMALL, narrow, passes=1)
    stem = 4 * (3 * 64 * 64 + 32 * 3 * 3 * 3 + 32 * 32 * 32)
    assert model['convolutions_at_ceilings_ms'] > stem / 1e6
    with pytest.raises(UserError, match='--profile: mobilenet-v2:openvino'):
        benchmark.profile(Case('mobilenet-v2', 'openvino'), SMALL, slow)
