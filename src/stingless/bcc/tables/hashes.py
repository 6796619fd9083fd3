"""Hash tables, and what the kernel keeps beside sockets, inodes, tasks and cgroups."""

from __future__ import annotations

from stingless.bcc.tables.base import TableBase


class HashTable(TableBase):
    """BPF_HASH."""


class LruHash(HashTable):
    """BPF_LRU_HASH, BPF_TABLE("lru_hash"): the least recently used entry makes room."""


class LpmTrie(TableBase):
    """BPF_LPM_TRIE: a key is a struct of the prefix's length in bits and the data; a lookup finds the longest prefix.
    A key may be a shorter struct, whose missing data is zeros."""


class Storage(TableBase):
    """BPF_SK_STORAGE, BPF_INODE_STORAGE, BPF_TASK_STORAGE, BPF_CGRP_STORAGE: a key is a descriptor (a socket's, a
    file's, a pidfd, a cgroup directory's).  The kernel does not list the keys."""


class CgroupStorage(TableBase):
    """BPF_CGROUP_STORAGE and its per-CPU form: a key is a cgroup's id and attach type, or an id alone."""
