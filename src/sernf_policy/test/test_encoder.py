"""The observation encoder."""

from __future__ import annotations

import torch
from torch import nn

from sernf_policy.encoder import VectorEncoder, mlp


def encoder(size: int = 5) -> VectorEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = VectorEncoder(torch.ones(size, dtype=torch.bool), 16, 8)
    made.standardiser.fit(torch.randn(100, size, generator=torch.Generator().manual_seed(1)) * 3.0 + 1.0)
    return made.eval()


def test_codes_are_normalised_whatever_comes_in() -> None:
    vectors = torch.randn(32, 5, generator=torch.Generator().manual_seed(2)) * 100.0
    with torch.no_grad():
        code = encoder()({"vector": vectors})
    assert code.shape == (32, 8)
    torch.testing.assert_close(code.mean(-1), torch.zeros(32), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(code.std(-1, correction=0), torch.ones(32), atol=1e-2, rtol=0.0)


def test_units_do_not_matter() -> None:
    """The same data in other units give the same codes: standardisation stands before the network."""
    one, other = encoder(), encoder()
    data = torch.randn(100, 5, generator=torch.Generator().manual_seed(3))
    factor = torch.tensor([1.0, 1000.0, 0.01, 57.3, 1.0])
    one.standardiser.fit(data)
    other.standardiser.fit(data * factor)
    with torch.no_grad():
        torch.testing.assert_close(one({"vector": data}), other({"vector": data * factor}), atol=1e-4, rtol=1e-4)


def test_dropout_is_for_training_only() -> None:
    network = mlp((4, 32, 32, 2), dropout=0.5)
    x = torch.ones(1, 4)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_every_layer_but_the_last_is_normalised() -> None:
    assert [type(layer) for layer in mlp((4, 8, 8, 2))] == [
        nn.Linear,
        nn.LayerNorm,
        nn.SiLU,
        nn.Linear,
        nn.LayerNorm,
        nn.SiLU,
        nn.Linear,
    ]


def test_what_is_left_out_in_training_is_the_body_and_not_the_pictures() -> None:
    made = encoder()
    made.body[3:], made.body_dropout = False, 0.999_999
    vectors = torch.randn(64, 5, generator=torch.Generator().manual_seed(4))
    other_body, other_pictures = vectors.clone(), vectors.clone()
    other_body[:, :3] += 1.0
    other_pictures[:, 3:] += 1.0
    with torch.no_grad():
        assert not torch.allclose(made({"vector": vectors}), made({"vector": other_body}))
        made.train()
        torch.testing.assert_close(made({"vector": vectors}), made({"vector": other_body}))
        assert not torch.allclose(made({"vector": vectors}), made({"vector": other_pictures}))
