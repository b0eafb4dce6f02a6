"""Classifiers of other programs are written under this package's names, whole or not at all."""

import os

import golden
import pytest
import torch
from checkpoint_files import CASE, CASES, check_golden, resnet50, save, small_state
from commands import tool

from mmscale.checkpoints import reading


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('case', CASES)
def test_every_source_loads_through_the_tool(case, suffix, tmp_path, capsys):
    source = save({'state_dict': golden.state_dict(case)}, tmp_path / 'source.pth')
    out = tmp_path / f'converted{suffix}'
    tool('convert_weights')([source, str(out)])
    config = golden.CONFIGS[case]
    assert f'fits configs/classification/{config}_in1k.py\n' in capsys.readouterr().out
    content = reading.read_file(out)
    assert content['meta']['sha256'] == reading.sha256(source)
    assert content['meta']['config'] == f'{config}_in1k'
    assert 'source.pth' in content['meta']['source']
    classifier = golden.build_classifier(config).double()
    classifier.load_state_dict(content['state_dict'], strict=True)
    with torch.no_grad():
        features = classifier.eval().backbone(golden.Golden(case).image)
        logits = classifier.head(classifier.neck(features))
    check_golden(case, logits=logits)
    assert [path.name for path in tmp_path.iterdir() if '.tmp' in path.name] == []


def test_tool_refuses_what_is_no_classifier(tmp_path):
    backbone = save(small_state()[1], tmp_path / 'backbone.pth')
    out = tmp_path / 'out.pth'
    with pytest.raises(SystemExit, match='lacks backbone.stages.4.0'):
        tool('convert_weights')([backbone, str(out)])
    foreign = save(resnet50(), tmp_path / 'resnet.pth')
    with pytest.raises(SystemExit, match='ResNet-50'):
        tool('convert_weights')([foreign, str(out)])
    with pytest.raises(SystemExit, match="'out.bin'.*[.]pth"):
        tool('convert_weights')([backbone, 'out.bin'])
    with pytest.raises(SystemExit, match='another name'):
        tool('convert_weights')([backbone, backbone])
    assert not out.exists()


EDITS = {
    'extra': lambda state: {**state, 'head.extra.weight': torch.zeros(3)},
    'narrow': lambda state: {**state, 'head.fc.weight': torch.zeros(1000, 512)},
    'flat': lambda state: {**state, 'head.fc.weight': torch.zeros(1000)},
    'no bias': lambda state: {k: v for k, v in state.items() if k != 'head.fc.bias'},
}


@pytest.mark.parametrize('edit', EDITS.values(), ids=EDITS)
def test_tool_writes_whole_classifiers_only(edit, tmp_path):
    state = golden.build_classifier('rexnet-100').state_dict()
    source = save(edit(state), tmp_path / 'source.pth')
    out = tmp_path / 'out.pth'
    with pytest.raises(SystemExit, match='head'):
        tool('convert_weights')([source, str(out)])
    assert os.listdir(tmp_path) == ['source.pth']


def test_tool_fills_in_counters_and_keeps_its_source(tmp_path):
    state = golden.build_classifier('rexnet-100').state_dict()
    counter = torch.tensor(3)  # shared, which safetensors does not take
    old = {k: v for k, v in state.items() if 'head' in k or not k.endswith('batches_tracked')}
    old['backbone.stem.norm.num_batches_tracked'] = counter
    old['backbone.stages.0.0.depthwise.norm.num_batches_tracked'] = counter
    source = save(old, tmp_path / 'out.tmp.pth')  # the name that writing aside might take
    out = tmp_path / 'out.safetensors'
    tool('convert_weights')([source, str(out)])
    golden.build_classifier('rexnet-100').load_state_dict(reading.read_file(out)['state_dict'])
    assert sorted(os.listdir(tmp_path)) == ['out.safetensors', 'out.tmp.pth']
    tool('convert_weights')([source, str(tmp_path / 'out.pth')])
    assert torch.equal(torch.load(source)['head.fc.bias'], state['head.fc.bias'])


def test_tool_names_no_config_that_does_not_exist(tmp_path, capsys):
    classifier = golden.build_classifier('rexnet-100', width_mult=2.2)
    state = classifier.state_dict()
    state['head.fc.weight'] = torch.zeros(1000, classifier.backbone.out_channels[-1])
    source = save(state, tmp_path / 'source.pth')
    tool('convert_weights')([source, str(tmp_path / 'out.pth')])
    printed = capsys.readouterr().out
    assert all(word in printed for word in ('ReXNet 2.2', 'no config'))


def test_tool_keeps_the_first_origin(tmp_path):
    first = save(golden.state_dict(CASE), tmp_path / 'authors.pth')
    for source, out in (('authors.pth', 'a.safetensors'), ('a.safetensors', 'b.pth')):
        tool('convert_weights')([str(tmp_path / source), str(tmp_path / out)])
    meta = reading.read_file(tmp_path / 'b.pth')['meta']
    assert meta['sha256'] == reading.sha256(first)
    assert 'authors.pth' in meta['source']


def test_tool_cannot_write_into_a_folder(tmp_path):
    source = save(golden.build_classifier('rexnet-100').state_dict(), tmp_path / 'source.pth')
    (tmp_path / 'out.pth').mkdir()
    with pytest.raises(SystemExit, match='is a folder'):
        tool('convert_weights')([source, str(tmp_path / 'out.pth')])
