"""Which tests are for a guest, and for which kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from .kernels import choose, default_kernel

GUEST_TESTS = Path(__file__).parents[1] / "guest"
PARAMETER = "vm_kernel"


def is_guest_path(path: Path) -> bool:
    return path.is_relative_to(GUEST_TESTS)


def is_guest_item(item: pytest.Item) -> bool:
    return is_guest_path(item.path)


def selected_kernels(config: pytest.Config) -> list[str]:
    names: list[str] = config.getoption("--vm-kernel") or [default_kernel()]
    try:
        return choose(names)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def kernel_of(item: pytest.Item) -> str:
    """By the test's parameter if it has one, which it has when there are several kernels to choose from."""
    if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
        kernel = item.callspec.params.get(PARAMETER)
        if isinstance(kernel, str):
            return kernel
    return selected_kernels(item.config)[0]
