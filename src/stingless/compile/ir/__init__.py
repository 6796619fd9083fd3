"""LLVM's textual IR: read, where its pointers come from, and the implicit reads in it made explicit."""
