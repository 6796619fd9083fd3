"""The C text by which bcc's tools keep to some containers: those whose cgroup, or whose mount namespace, is a key of a
hash map that is pinned in a bpffs and that somebody else fills."""

from __future__ import annotations

from typing import Any

_CGROUP = """
BPF_TABLE_PINNED("hash", u64, u64, cgroupset, 1024, "{path}");

static inline int _cgroup_filter() {{
    u64 cgroup = bpf_get_current_cgroup_id();
    return cgroupset.lookup(&cgroup) == NULL;
}}
"""
# MNT_NAMESPACE_DEFINED tells a program that it need not declare `struct mnt_namespace` itself.
_MOUNT_NAMESPACE = """
#include <linux/nsproxy.h>
#include <linux/mount.h>
#include <linux/ns_common.h>
#define MNT_NAMESPACE_DEFINED

BPF_TABLE_PINNED("hash", u64, u32, mount_ns_set, 1024, "{path}");

static inline int _mntns_filter() {{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task();
    struct nsproxy *proxy;
    struct mnt_namespace *namespace;
    unsigned int inum;
    u64 key;

    if (bpf_probe_read_kernel(&proxy, sizeof(proxy), &task->nsproxy))
        return 0;
    if (bpf_probe_read_kernel(&namespace, sizeof(namespace), &proxy->mnt_ns))
        return 0;
    if (bpf_probe_read_kernel(&inum, sizeof(inum), &namespace->ns.inum))
        return 0;
    key = inum;
    return mount_ns_set.lookup(&key) == NULL;
}}
"""
_ALL = """
static inline int {name}() {{
    return 0;
}}
"""
_BOTH = """
static inline int container_should_be_filtered() {
    return _cgroup_filter() || _mntns_filter();
}
"""


def filter_by_containers(args: Any) -> str:
    """C text with `container_should_be_filtered()`, for paths of pinned maps in `args.cgroupmap` (u64 cgroup ids) and
    `args.mntnsmap` (u64 inode numbers of mount namespaces); None or "" for either lets all through."""
    cgroup = _CGROUP.format(path=args.cgroupmap) if args.cgroupmap else _ALL.format(name="_cgroup_filter")
    namespace = _MOUNT_NAMESPACE.format(path=args.mntnsmap) if args.mntnsmap else _ALL.format(name="_mntns_filter")
    return cgroup + namespace + _BOTH
