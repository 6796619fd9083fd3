#!/bin/sh
# Install what guest tests need: QEMU and its friends and bcc's tools by apt (as root), and the kernels named by the
# arguments (default: the one that is used without --vm-kernel). Does nothing for what is there already.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}

PATH=$PATH:/sbin:/usr/sbin
if ! "$python" -m tests.vm.missing || ! command -v depmod >/dev/null || ! command -v opensnoop-bpfcc >/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "vm-deps: no apt-get here: install qemu-system-x86_64, a static busybox, kmod and zstd yourself" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "vm-deps: installing packages needs root: run it once with sudo" >&2
        exit 1
    fi
    apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
        qemu-system-x86 busybox-static kmod zstd debian-archive-keyring bpfcc-tools
fi

exec "$python" -m tests.vm.fetch "$@"
