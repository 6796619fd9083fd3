"""The embedded kernel's verifier: proves that a program ends and touches only what it may.

It follows every path with what is known of each register and stack slot, as Linux's does.  It may refuse what Linux
accepts, never the reverse: the interpreter and the maps below trust it.
"""
