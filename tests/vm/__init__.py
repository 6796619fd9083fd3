"""The guest: a Debian kernel under QEMU for the tests that the host's kernel cannot run.

``kernels.toml`` lists the kernels, ``python -m tests.vm.fetch`` gets them, ``python -m tests.vm.run -- CMD`` runs one
command in a guest and ``plugin.py`` runs ``tests/guest/`` there. Only the standard library is used outside the plugin,
so that the Makefile can call these modules before any virtual environment exists.
"""
