"""Checkpoints whose hashes are right and whose content is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from sernf_policy import checkpoint as module
from sernf_policy.checkpoint_files import both_files


def forge(
    path: Path, *, content: Callable[[dict[str, Any]], object] = dict, tensors: Callable[[dict[str, Tensor]], object] = dict
) -> None:
    """Change what the files hold, in place, and seal them again."""
    weights_file, json_file = both_files(path)
    text, numbers = json.loads(json_file.read_text()), load(weights_file.read_bytes())
    content(text)
    tensors(numbers)
    weights = save(numbers, metadata={module.DESCRIPTION_HASH: module._description_hash(text)})
    text["sha256"], text["weights_bytes"] = hashlib.sha256(weights).hexdigest(), len(weights)
    text["version"] = module._version(text["layout"]["task"], text["stage"], text["sha256"])
    weights_file.write_bytes(weights)
    json_file.write_text(json.dumps(text))
