"""`stingless run` on the embedded kernel: no root, real events of a traced command."""

from __future__ import annotations

from pathlib import Path

from tests.run_checks import RunChecks


class TestRunEmbedded(RunChecks):
    kernel = "embedded"

    def test_inside_another_tracer(self, tmp_path: Path) -> None:
        script = self.hello(tmp_path)
        done = self.run(script, *self.argv(script, "true"))
        assert done.returncode == 126
        assert "cannot be traced: this process is traced itself" in done.stderr
        assert "another `stingless run --kernel embedded`" in done.stderr
