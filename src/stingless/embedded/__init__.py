"""The embedded kernel: verifier, interpreter, maps, helpers and event sources in user space, with no privileges."""
