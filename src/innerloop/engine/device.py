"""Which device the work is done on."""

import torch

from innerloop.engine.config import EngineConfig
from innerloop.errors import ConfigError


def device_of(config: EngineConfig) -> torch.device:
    """Return the device that was asked for, or the one that is best.

    Raises:
        ConfigError: There is no such device here.
    """
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ConfigError(f"expected engine.device as auto, cpu, cuda or cuda:1, got '{config.device}'; correct it")
    found = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= found:
        raise ConfigError(
            f"expected a GPU for engine.device={config.device}, got {found} of them; use engine.device=cpu"
        )
    return device
