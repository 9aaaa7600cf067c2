"""The policy: encoder, flow and normaliser as one module, with exact likelihoods of whole action chunks (arXiv 2602.09580)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from sernf_policy.encoder import Observation, VectorEncoder
from sernf_policy.flow import FLOWS, base_log_prob
from sernf_policy.layout import IMAGE, PolicyLayout
from sernf_policy.normaliser import ChunkNormaliser
from sernf_policy.vision import Eyes, VisionConfig


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Kind and sizes of the networks, and how chunks are normalised. `flow`: one of sernf_policy.flow.FLOWS.

    `noise`: standard deviation of the noise that training adds to scaled chunks: without it the density would be degenerate.
    `input_noise`: of the noise that it adds to standardised observations. `body_dropout`: in what share of them it leaves out all
    but the pictures: joints tell how the motion has gone so far, and who knows that goes on like that without looking (copycat,
    arXiv 2010.14876).
    `margin`: how far beyond the demonstrated range of motion, in shares of its half, the policy may command.
    """

    flow: str = "coupling"
    encoder_hidden: int = 256
    code_size: int = 64
    blocks: int = 4
    hidden: int = 96
    affine_hidden: int = 256
    dropout: float = 0.0
    noise: float = 0.02
    input_noise: float = 0.0
    body_dropout: float = 0.0
    margin: float = 0.1
    smallest_half_range_rad: float = 0.02
    temperature: float = 0.7
    vision: VisionConfig = field(default_factory=VisionConfig)

    def __post_init__(self) -> None:
        if self.flow not in FLOWS:
            raise ValueError(f"flow: expected one of {', '.join(FLOWS)}, got {self.flow!r}")
        for name in ("encoder_hidden", "code_size", "hidden", "affine_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if self.blocks < 0:
            raise ValueError(f"blocks: expected 0 or more, got {self.blocks}")
        if not 0.0 < self.noise < 0.5:
            raise ValueError(f"noise: expected more than 0 and less than 0.5, got {self.noise}")
        if not 0.0 <= self.body_dropout < 1.0:
            raise ValueError(f"body_dropout: expected at least 0 and less than 1, got {self.body_dropout}")
        if not 0.0 <= self.temperature <= 2.0:
            raise ValueError(f"temperature: expected 0 to 2, got {self.temperature}")


@dataclass(frozen=True)
class Candidates:
    """Sampled chunks: `chunk` (B, N, H, A) rad, their exact `log_prob` (B, N) nats per rad^D, `code` (B, C)."""

    chunk: Tensor
    log_prob: Tensor
    code: Tensor


class ChunkPolicy(nn.Module):
    """pi(chunk | observation) with chunks (H, A) of joint targets in rad."""

    def __init__(self, layout: PolicyLayout, config: PolicyConfig) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        self._commanded = layout.slice_of("commanded_position")
        if config.body_dropout > 0.0 and not layout.cameras:
            raise ValueError(f"body_dropout: expected 0 without cameras, got {config.body_dropout}: nothing would be left to see")
        self.encoder = VectorEncoder(
            torch.tensor(layout.of_body), config.encoder_hidden, config.code_size, config.input_noise, config.body_dropout
        )
        self.normaliser = ChunkNormaliser(layout.horizon, layout.counted)
        self.eyes = Eyes(layout.cameras, config.vision)
        self.flow = FLOWS[config.flow](
            layout.chunk_size, config.code_size,
            blocks=config.blocks, hidden=config.hidden, affine_hidden=config.affine_hidden, dropout=config.dropout,
        )  # fmt: skip

    def fit_normaliser(self, vectors: Tensor, chunks: Tensor) -> None:
        """Normalisation from data: `vectors` (n, observation_size), `chunks` (n, H, A) rad."""
        config = self.config
        self.encoder.standardiser.fit(vectors)
        # What eyes give is of this size already, and changes while they learn.
        seen = ~self.encoder.body
        self.encoder.standardiser.mean[seen], self.encoder.standardiser.std[seen] = 0.0, 1.0
        self.normaliser.fit(
            chunks, self.commanded({"vector": vectors}),
            margin=config.margin, smallest_half_range_rad=config.smallest_half_range_rad, noise=config.noise,
        )  # fmt: skip

    def seeing(self, vectors: Tensor, images: Mapping[str, Tensor]) -> Tensor:
        """`vectors` (B, observation_size) with what the eyes make of `images`: camera -> (B, h, w, 3) uint8."""
        if not images:
            return vectors
        parts = list(torch.split(vectors, [self.layout.size_of(term) for term in self.layout.observation], dim=1))
        for name, features in self.eyes(dict(images)).items():
            parts[self.layout.observation.index(f"{IMAGE}/{name}")] = features
        return torch.cat(parts, dim=1)

    def commanded(self, observation: Observation) -> Tensor:
        """The commanded position (B, A), rad, from which chunks are counted."""
        return observation["vector"][:, self._commanded]

    def noisy(self, observation: Observation, chunk: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Chunks (B, H, A) rad with the training noise."""
        commanded = self.commanded(observation)
        scaled = self.normaliser.scaled(chunk, commanded)
        noise = torch.randn(scaled.shape, generator=generator, device=scaled.device)
        return self.normaliser.from_scaled(scaled + self.config.noise * noise, commanded)

    def log_prob(self, observation: Observation, chunk: Tensor) -> Tensor:
        """Exact log-density (B,), nats per rad^D, of chunks (B, H, A) rad; on the boundary for chunks outside the bounds."""
        whitened, log_det = self.normaliser(self.normaliser.scaled(chunk, self.commanded(observation)))
        log_prob: Tensor = self.flow.log_prob(whitened, self.encoder(observation)) + log_det
        return log_prob

    def squared_error(self, observation: Observation, chunk: Tensor) -> Tensor | None:
        """Mean square (B,) of the distance between whitened chunks (B, H, A) rad and what the flow is centred on.

        None for a flow that has no centre.
        """
        centre = self.flow.centre(self.encoder(observation))
        if centre is None:
            return None
        whitened, _ = self.normaliser(self.normaliser.scaled(chunk, self.commanded(observation)))
        error: Tensor = (whitened - centre).square().mean(-1)
        return error

    def sample(
        self, observation: Observation, candidates: int = 1, temperature: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Candidates:  # fmt: skip
        """`candidates` chunks for each observation. `temperature`: standard deviation of the base; None: the configured one."""
        code, commanded = self.encoder(observation), self.commanded(observation)
        spread = self.config.temperature if temperature is None else temperature
        latent = spread * torch.randn(len(code), candidates, self.layout.chunk_size, generator=generator, device=code.device)
        chunk, log_prob = self.decode(
            latent.flatten(0, 1), code.repeat_interleave(candidates, dim=0), commanded.repeat_interleave(candidates, dim=0)
        )
        shape = (len(code), candidates)
        return Candidates(chunk.reshape(*shape, *chunk.shape[1:]), log_prob.reshape(shape), code)

    def decode(self, latent: Tensor, code: Tensor, commanded: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, D) -> chunks (B, H, A) rad and their exact log-density (B,), in one pass."""
        whitened, log_det_flow = self.flow.to_action(latent, code)
        scaled, log_det = self.normaliser.inverse(whitened)
        return self.normaliser.from_scaled(scaled, commanded), base_log_prob(latent) - log_det_flow + log_det
