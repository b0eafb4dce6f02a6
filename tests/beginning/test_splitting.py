"""The pictures that are split off to validate on."""

from collections import Counter

import pytest

from mmscale.beginning.splitting import choose, split_content


def names(count):
    return [f'{i}.jpg' for i in range(count)]


@pytest.mark.parametrize(('count', 'chosen'), [(2, 1), (3, 1), (10, 2), (100, 20), (50_000, 5000)])
def test_a_fifth_within_bounds(count, chosen):
    assert len(choose(names(count), [[0]] * count)) == chosen


def test_the_same_pictures_in_any_order():
    labels = [[i % 4] for i in range(40)]
    first = {names(40)[i] for i in choose(names(40), labels)}
    backwards = names(40)[::-1]
    assert {backwards[i] for i in choose(backwards, labels[::-1])} == first


def test_every_class_is_in_both():
    labels = [[i % 8] for i in range(80)]
    chosen = choose(names(80), labels)
    assert Counter(labels[i][0] for i in chosen) == dict.fromkeys(range(8), 2)


def test_the_only_picture_of_a_class_is_trained_on():
    labels = [[0, 1] if i == 3 else [0] for i in range(10)]
    assert 3 not in choose(names(10), labels)


def test_copies_of_a_picture_stay_together():
    every = [f'{i}_jpg.rf.{c * 32}.jpg' for i in range(20) for c in 'abc']
    chosen = choose(every, [[0]] * 60)
    assert 12 <= len(chosen) <= 14
    assert set(Counter(every[i].partition('.')[0] for i in chosen).values()) == {3}


def test_content_is_split_by_picture():
    images = [dict(id=i, file_name=f'{i}.jpg') for i in range(10)]
    annotations = [dict(id=n, image_id=n % 10, category_id=1) for n in range(30)]
    parts = split_content(dict(images=images, annotations=annotations, categories=[1], info=2))
    assert [len(part['images']) for part in parts] == [8, 2]
    assert [len(part['annotations']) for part in parts] == [24, 6]
    for part in parts:
        assert {a['image_id'] for a in part['annotations']} == {i['id'] for i in part['images']}
        assert (part['categories'], part['info']) == ([1], 2)
