"""Which machine was measured, in words."""

import os
import platform
from pathlib import Path

import torch


def described(device: str = "cpu") -> str:
    """Return the processor or the GPU, how many cores or how much memory it has, and torch's version."""
    if device.startswith("cuda"):
        what = torch.cuda.get_device_properties(device)
        return f"{what.name}, {what.total_memory / (1 << 30):.0f} GiB, torch {torch.__version__}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
