"""Segmentes of several slices in one pass are what single passes give."""

from __future__ import annotations

import pytest
import torch
from support.toy_codes import CODES, random_prior

from MedADLib.methods.sampling.cpu import Segment, read_all, read_last
from MedADLib.networks.code_prior import Cache

LENGTH = 20
# First and last place, rows, and room for rows.
PARTS = ((3, 9, 2, 4), (1, 2, 1, 1), (11, 20, 3, 3))


@pytest.mark.parametrize("further", [(), (4, 10)])
def test_each_segment_is_read_as_if_it_were_alone_and_from_the_beginning(further):
    prior = random_prior(LENGTH, 3, further)
    generator = torch.Generator().manual_seed(0)
    segments, wanted = [], []
    for number, (first, last, rows, room) in enumerate(PARTS):
        codes, where = torch.randint(0, CODES, (rows, LENGTH), generator=generator), torch.tensor([number / 7])
        logits, cache = prior.fill(codes, where.expand(rows))
        kept = Cache(*(part.new_zeros(2, room, *part.shape[2:]) for part in cache))
        for target, source in zip(kept, cache):
            target[:, :rows, :, :first] = source[:, :, :, :first]
        segments.append(Segment(codes, where, first, last, kept))
        wanted.append((logits[:, first:last], cache))
    for found, (logits, _) in zip(read_last(prior, segments), wanted):
        assert torch.allclose(found, logits[:, -1], atol=1e-5)
    for segment, (_, cache) in zip(segments, wanted):
        for kept, full in zip(segment.cache, cache):
            assert torch.allclose(
                kept[:, : len(segment.codes), :, : segment.last], full[:, :, :, : segment.last], atol=1e-5
            )
            assert not kept[:, len(segment.codes) :].any()
    for found, (logits, _) in zip(read_all(prior, segments), wanted):
        assert found.shape == logits.shape and torch.allclose(found, logits, atol=1e-5)
