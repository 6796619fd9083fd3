"""A private apt: the host's proxy and mirror settings, but its own sources, lists, state and cache.

Nothing of the host's apt is changed and root is not needed. Signatures are checked against Debian's archive keyring.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "STINGLESS_DEBIAN_MIRROR"

# How to reach the network; everything else of the host's configuration (hooks, pins) stays out.
_INHERITED = ("Acquire::http", "Acquire::https", "Acquire::Retries", "Acquire::Check-", "Acquire::ForceIPv")


class AptError(RuntimeError):
    """A package cannot be had; the message says why and what to do."""


def require_tools() -> None:
    missing = [tool for tool in ("apt-get", "apt-cache", "apt-config", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise AptError(f"{', '.join(missing)} not found: the kernels are Debian packages and need apt and dpkg")
    if not KEYRING.exists():
        raise AptError(f"{KEYRING} is missing: apt-get install debian-archive-keyring")


def find_mirror() -> str:
    """The Debian mirror in the host's own apt sources, or the one in the environment."""
    if mirror := os.environ.get(MIRROR_VARIABLE):
        return mirror
    targets = _output(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages"])
    mirror = next((uri for uri in targets.split() if uri.rstrip("/").endswith("/debian")), None)
    if mirror is None:
        raise AptError(
            f"no Debian mirror in this host's apt sources: set {MIRROR_VARIABLE} to the address of one (…/debian)"
        )
    return mirror


class PrivateApt:
    """apt for one suite, with all its files under `root`."""

    def __init__(self, root: Path, suite: str, mirror: str) -> None:
        self._root = root
        self._suite = suite
        self._mirror = mirror
        self._env = os.environ | {"APT_CONFIG": str(root / "apt.conf"), "LC_ALL": "C.UTF-8"}

    def update(self) -> None:
        self._configure()
        # Without Error-Mode=any a suite that is not there is only a warning.
        try:
            self._run("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
        except subprocess.CalledProcessError as error:
            self._fail(f"suite {self._suite} cannot be had from {self._mirror}", error)

    def newest(self, pattern: str) -> str:
        """The package with the highest version in its name among those that match a glob."""
        names = fnmatch.filter(self._run("apt-cache", "pkgnames", pattern.partition("*")[0]).split(), pattern)
        if not names:
            raise AptError(f"suite {self._suite} has no package {pattern}: update tests/vm/kernels.toml")
        return max(names, key=lambda name: [int(digits) for digits in re.findall(r"\d+", name)])

    def describe(self, package: str) -> dict[str, str]:
        """The package's control fields that stand on one line."""
        text = self._run("apt-cache", "show", "--no-all-versions", package)
        return dict(re.findall(r"^([A-Za-z-]+): (.*)$", text, re.MULTILINE))

    def download(self, packages: Iterable[str], to: Path) -> list[Path]:
        to.mkdir(parents=True, exist_ok=True)
        try:
            self._run("apt-get", "-q", "download", *packages, cwd=to)
        except subprocess.CalledProcessError as error:
            self._fail(f"cannot download {' '.join(packages)}", error)
        return sorted(to.glob("*.deb"))

    def forget(self) -> None:
        """Remove the package lists: over 100 MB that a kernel that is fetched has no use for."""
        shutil.rmtree(self._root)

    def _configure(self) -> None:
        etc, state = self._root / "etc", self._root / "state"
        for directory in ("apt.conf.d", "preferences.d", "sources.list.d", "trusted.gpg.d", "auth.conf.d"):
            (etc / directory).mkdir(parents=True, exist_ok=True)
        for directory in ("lists/partial", "cache/archives/partial", "state", "log"):
            (self._root / directory).mkdir(parents=True, exist_ok=True)
        (state / "status").touch()
        (etc / "sources.list").write_text(f"deb [arch=amd64 signed-by={KEYRING}] {self._mirror} {self._suite} main\n")
        inherited = [line for line in _output(["apt-config", "dump"]).splitlines() if line.startswith(_INHERITED)]
        own = {
            "Dir::Etc": etc,
            "Dir::State": state,
            "Dir::State::lists": self._root / "lists",
            "Dir::State::status": state / "status",
            "Dir::Cache": self._root / "cache",
            "Dir::Log": self._root / "log",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",  # apt's own user may not enter the cache directory
            "Acquire::Languages": "none",
        }
        lines = [*inherited, *(f'{key} "{value}";' for key, value in own.items()), ""]
        (self._root / "apt.conf").write_text("\n".join(lines))

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        return _output(command, env=self._env, cwd=cwd)

    @staticmethod
    def _fail(what: str, error: subprocess.CalledProcessError) -> NoReturn:
        said = [line for line in (error.stderr or "").splitlines() if line.startswith(("E:", "W:", "Err:"))]
        raise AptError("\n  ".join([what, *said])) from error


def _output(command: Iterable[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    return subprocess.run(list(command), env=env, cwd=cwd, check=True, capture_output=True, text=True).stdout
