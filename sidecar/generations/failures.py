"""Why a prompt failed in ComfyUI: a code for programs, a sentence for people, and whether more memory could help."""

from __future__ import annotations

import re
from typing import Any

from sidecar.comfyui.outcomes import OutcomeError
from sidecar.generations.models import Generation

NODE_FAILED = "node_failed"
OUT_OF_MEMORY = "out_of_memory"

# torch.OutOfMemoryError, numpy's _ArrayMemoryError; and what PyTorch raises as a RuntimeError: without a graphics card
# ("DefaultCPUAllocator: can't allocate memory"), on Apple's ("MPS backend out of memory"), on AMD's and inside cuBLAS.
MEMORY_TYPES = re.compile(r"(OutOfMemory|Memory)Error$")
MEMORY_WORDS = re.compile(
    r"out of memory|not enough memory|(can't|cannot|unable to) allocate|allocation on device|ALLOC_FAILED",
    re.IGNORECASE,
)


def is_out_of_memory(error: OutcomeError) -> bool:
    return bool(MEMORY_TYPES.search(error.type) or MEMORY_WORDS.search(error.message))


def explain(error: OutcomeError, generation: Generation) -> tuple[str, dict[str, Any]]:
    """A code and what is kept of the error; the traceback stays for whoever administrates."""
    out_of_memory = is_out_of_memory(error)
    return OUT_OF_MEMORY if out_of_memory else NODE_FAILED, {
        "message": advice(error, generation) if out_of_memory else reason(error),
        "type": error.type,
        "node_id": error.node_id,
        "node_type": error.node_type,
        "traceback": error.traceback,
    }


def reason(error: OutcomeError) -> str:
    return f"{error.node_type or 'A node'} failed: {error.message.strip() or error.type or 'it gave no reason'}"


def advice(error: OutcomeError, generation: Generation) -> str:
    again = ", also after ComfyUI had freed its memory" if generation.memory_freed else ""
    return (
        f"{error.node_type or 'A node'} ran out of memory{again}. Try a smaller size or batch{asked_for(generation)}."
    )


def asked_for(generation: Generation) -> str:
    if generation.width is None or generation.height is None:
        return ""
    batch = f", {generation.batch_size} at once" if (generation.batch_size or 1) > 1 else ""
    return f" (it was {generation.width} x {generation.height}{batch})"
