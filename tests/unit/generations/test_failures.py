"""What is said of a prompt that failed in ComfyUI."""

from __future__ import annotations

import pytest

from sidecar.comfyui.outcomes import OutcomeError
from sidecar.generations.failures import explain, is_out_of_memory
from sidecar.generations.models import Generation


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torch.OutOfMemoryError", ""),
        ("torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."),
        ("numpy._core._exceptions._ArrayMemoryError", "Unable to allocate 48.0 GiB for an array"),
        ("MemoryError", ""),
        ("RuntimeError", "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"),
        ("RuntimeError", "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        ("RuntimeError", "MPS backend out of memory (MPS allocated: 18.10 GB)"),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_memory_runs_out_in_many_words(kind: str, message: str) -> None:
    """
    As PyTorch and numpy say it on graphics cards of several makers and without one.
    """
    assert is_out_of_memory(OutcomeError(type=kind, message=message))


@pytest.mark.parametrize(
    ("kind", "message"), [("RuntimeError", "The size of tensor a must match"), ("ValueError", ""), ("", "")]
)
def test_other_errors_have_nothing_to_do_with_memory(kind: str, message: str) -> None:
    """
    They would happen again, however much there is.
    """
    assert not is_out_of_memory(OutcomeError(type=kind, message=message))


def test_advice_on_memory_names_what_was_asked_for_where_that_is_known() -> None:
    """
    Nobody remembers the size of what failed an hour ago.
    """
    error = OutcomeError(type="MemoryError", node_type="VAEDecode")

    code, kept = explain(error, Generation(width=2048, height=1024, batch_size=1))
    unknown = explain(error, Generation())[1]

    assert code == "out_of_memory"
    assert kept["message"] == "VAEDecode ran out of memory. Try a smaller size or batch (it was 2048 x 1024)."
    assert unknown["message"] == "VAEDecode ran out of memory. Try a smaller size or batch."


def test_any_other_failure_is_told_in_the_nodes_own_words() -> None:
    """
    And where it gave none, by the name of its error.
    """
    assert explain(OutcomeError(message="bad latent\n", node_type="KSampler"), Generation())[1]["message"] == (
        "KSampler failed: bad latent"
    )
    assert explain(OutcomeError(type="KeyError"), Generation())[1]["message"] == "A node failed: KeyError"
