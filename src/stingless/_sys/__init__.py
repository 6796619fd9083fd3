"""Raw system calls and native libraries: the only package that may import ctypes, mmap, fcntl or resource."""
