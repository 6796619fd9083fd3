"""Verifier logs turned into one explanation with the C line, what the verifier knew, and a hint."""
