"""Cgroup hooks, in a cgroup of our own with a child of ours in it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stingless._gen.uapi import AttachType, LinkType
from stingless.errors import AttachError
from stingless.linux import scope
from stingless.linux.iter import IterLink
from stingless.linux.kernel import LinuxKernel
from tests.hook_support import Hooks
from tests.leak_checks import open_files
from tests.linux_support import IS_ROOT

pytestmark = [
    pytest.mark.skipif(not IS_ROOT, reason="bpf(2) needs root"),
    pytest.mark.skipif(scope.own_cgroup() is None, reason="no cgroup v2 hierarchy is mounted"),
]


@pytest.fixture
def kernel() -> Iterator[LinuxKernel]:
    with LinuxKernel() as k:
        yield k


@pytest.fixture
def cgroup() -> Iterator[Path]:
    path, why = scope.create_cgroup()
    if path is None:
        pytest.skip(why)
    yield path
    path.rmdir()


def inside(cgroup: Path, code: str) -> str:
    """What Python code prints in a child that is in the cgroup; what it raises, by name."""
    wrapped = f"input()\ntry:\n    exec({code!r})\nexcept OSError as e:\n    print(type(e).__name__, e.errno)"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", wrapped], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        (cgroup / "cgroup.procs").write_text(str(child.pid))
        out, _ = child.communicate("\n", timeout=20)
    return out.strip()


BIND = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print('bound')"
UDP = "import socket; s = socket.socket(2, 2); s.sendto(b'x', ('127.0.0.1', 9)); print('sent')"
OPTION = "import socket; s = socket.socket(); print(s.getsockopt(1, 8))"
SYSCTL = "print(open('/proc/sys/kernel/ostype').read())"
DEVICE = "print(len(open('/dev/zero', 'rb').read(4)))"
CONNECT = "import socket; s = socket.socket(2, 2); s.connect(('127.0.0.1', 9)); print(s.getpeername()[1])"
UNIX = "import socket; a, b = socket.socketpair(); print(a.getpeername())"


@pytest.mark.parametrize(
    ("section", "text", "where", "code", "with_it", "without"),
    [
        ("cgroup/bind4", "struct bpf_sock_addr *c) { hits++; return 0; }", {}, BIND, "PermissionError 1", "bound"),
        ("cgroup/sock_create", "struct bpf_sock *c) { hits++; return 0; }", {}, BIND, "PermissionError 1", "bound"),
        ("cgroup_skb/egress", "struct __sk_buff *c) { hits++; return 0; }", {}, UDP, "PermissionError 1", "sent"),
        (
            "cgroup/skb",
            "struct __sk_buff *c) { hits++; return 0; }",
            {"direction": "egress"},
            UDP,
            "PermissionError 1",
            "sent",
        ),
        (
            "cgroup/connect4",
            "struct bpf_sock_addr *c) { hits++; c->user_port = 0x0b00; return 1; }",
            {},
            CONNECT,
            "11",
            "9",
        ),
        ("cgroup/dev", "struct bpf_cgroup_dev_ctx *c) { hits++; return 0; }", {}, DEVICE, "PermissionError 1", "4"),
        ("cgroup/sysctl", "struct bpf_sysctl *c) { hits++; return 0; }", {}, SYSCTL, "PermissionError 1", "Linux"),
        (
            "cgroup/getsockopt",
            "struct bpf_sockopt *c) { void *p = c->optval; if (p + 4 > c->optval_end) return 0;"
            " hits++; *(int *)p = 4321; return 1; }",
            {},
            OPTION,
            "4321",
            None,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("cgroup") else "",
)
def test_of_a_cgroup(
    kernel: LinuxKernel,
    cgroup: Path,
    section: str,
    text: str,
    where: dict[str, str],
    code: str,
    with_it: str,
    without: str | None,
) -> None:
    hooks = Hooks(kernel, f'SEC("{section}") int prog({text}')
    hooks.program()
    before = open_files()
    link = hooks.attach(cgroup=cgroup, **where)
    assert inside(cgroup, code) == with_it
    seen = hooks.hits
    assert seen >= 1
    assert link.info.type is LinkType.CGROUP
    assert link.info.details["cgroup_id"] == cgroup.stat().st_ino
    link.close()
    after = inside(cgroup, code)
    assert after == without if without is not None else after != with_it
    assert hooks.hits == seen
    assert open_files() == before


def test_sockops(kernel: LinuxKernel, cgroup: Path) -> None:
    hooks = Hooks(kernel, 'SEC("sockops") int prog(struct bpf_sock_ops *c) { hits++; return 1; }')
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            for _ in range(2):
                server.accept()[0].close()

        thread = threading.Thread(target=accept)
        thread.start()
        code = f"import socket; socket.create_connection({server.getsockname()}); print('there')"
        with hooks.attach(cgroup=cgroup):
            assert inside(cgroup, code) == "there"
        seen = hooks.hits
        assert seen >= 1
        assert inside(cgroup, code) == "there"
        thread.join()
    assert hooks.hits == seen


@pytest.mark.parametrize("order", ["self_only", "descendants_pre", "ancestors_up"])
def test_iterator_over_cgroups(kernel: LinuxKernel, cgroup: Path, order: str) -> None:
    """It writes the numbers of our cgroup alone, which is where the walk begins."""
    hooks = Hooks(
        kernel,
        """
        struct kernfs_node { __u64 id; } __attribute__((preserve_access_index));
        struct cgroup { struct kernfs_node *kn; } __attribute__((preserve_access_index));
        struct seq_file; struct bpf_iter_meta { struct seq_file *seq; } __attribute__((preserve_access_index));
        struct bpf_iter__cgroup { struct bpf_iter_meta *meta; struct cgroup *cgroup; }
            __attribute__((preserve_access_index));
        SEC("iter/cgroup") int prog(struct bpf_iter__cgroup *ctx)
        {
            struct cgroup *cgroup = ctx->cgroup;
            __u64 id;
            if (!cgroup)
                return 0;
            hits++;
            id = cgroup->kn->id;
            if (hits == 1)
                bpf_seq_write(ctx->meta->seq, &id, sizeof(id));
            return 0;
        }
        """,
    )
    link = hooks.attach(cgroup=cgroup, order=order)
    assert isinstance(link, IterLink)
    assert int.from_bytes(link.read(), "little") == cgroup.stat().st_ino
    assert hooks.hits >= 2 if order == "ancestors_up" else hooks.hits == 1
    with pytest.raises(AttachError, match="order is one of self_only"):
        hooks.attach(cgroup=cgroup, order="sideways")


def test_what_is_missing_or_wrong(kernel: LinuxKernel, cgroup: Path, tmp_path: Path) -> None:
    hooks = Hooks(kernel, 'SEC("cgroup/skb") int prog(struct __sk_buff *c) { return 1; }')
    with pytest.raises(AttachError, match="the cgroup's directory is missing: give cgroup="):
        hooks.attach()
    with pytest.raises(AttachError, match="give direction="):
        hooks.attach(cgroup=cgroup)
    with pytest.raises(AttachError, match="No such file"):
        hooks.attach(cgroup=cgroup / "absent", direction="ingress")
    with pytest.raises(AttachError, match="is not a directory of a cgroup v2 file system"):
        hooks.attach(cgroup=tmp_path, direction="ingress")
    with pytest.raises(AttachError):
        hooks.attach(cgroup=cgroup, attach_type=AttachType.CGROUP_DEVICE)


def test_two_programs_and_an_update(kernel: LinuxKernel, cgroup: Path) -> None:
    hooks = Hooks(
        kernel,
        """
        SEC("cgroup/bind4") int prog(struct bpf_sock_addr *c) { hits++; return 1; }
        SEC("cgroup/bind4") int deny(struct bpf_sock_addr *c) { last++; return 0; }
        """,
    )
    first = hooks.attach(cgroup=cgroup)
    second = hooks.attach("deny", cgroup=cgroup)
    assert inside(cgroup, BIND) == "PermissionError 1"
    assert (hooks.hits, hooks.last) == (1, 1)
    second.update(hooks.program())
    assert inside(cgroup, BIND) == "bound"
    assert (hooks.hits, hooks.last) == (3, 1)
    second.detach()
    assert inside(cgroup, BIND) == "bound"
    assert hooks.hits == 4
    first.close()
