"""Files of a run, as tests look for them."""

from pathlib import Path


def newest(run: Path) -> Path:
    """Return the newest checkpoint of a run's folder."""
    return max((run / "checkpoints").glob("step-*.safetensors"))
