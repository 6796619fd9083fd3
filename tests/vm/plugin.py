"""A pytest plugin that runs `tests/guest/` in a guest.

On the host, `--vm` boots one guest for each kernel of `--vm-kernel`, runs the selected guest tests there and reports
every one as an item of this session. Without `--vm` they are skipped. In the guest the same plugin lets them run.
"""

from __future__ import annotations

import os

import pytest

from .exchange import KERNEL_VARIABLE, Exchange, exchange_directory
from .host import HostPlugin
from .inside import InsidePlugin
from .selection import PARAMETER, is_guest_path, selected_kernels


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guest VM")
    group.addoption("--vm", action="store_true", help="run tests/guest/ in a guest VM (see `make vm-deps`)")
    group.addoption(
        "--vm-kernel",
        action="append",
        metavar="NAMES",
        help="kernels for the guests, e.g. 6.1,5.10 or all: see tests/vm/kernels.toml (default: its default one)",
    )
    group.addoption(
        "--vm-timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="how long a guest may be silent, which bounds one test and the boot (default: 600)",
    )


def pytest_configure(config: pytest.Config) -> None:
    directory = exchange_directory()
    if directory is None:
        config.pluginmanager.register(HostPlugin(config), "stingless-vm-host")
    else:
        config.pluginmanager.register(InsidePlugin(config, Exchange(directory)), "stingless-vm-inside")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kernels = selected_kernels(metafunc.config)
    if len(kernels) > 1 and is_guest_path(metafunc.definition.path):
        if PARAMETER not in metafunc.fixturenames:
            metafunc.fixturenames.append(PARAMETER)
        metafunc.parametrize(PARAMETER, kernels)


@pytest.fixture
def vm_kernel() -> str:
    """The name in `kernels.toml` of the kernel that this test runs on."""
    return os.environ[KERNEL_VARIABLE]
