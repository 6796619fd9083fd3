#!/bin/busybox sh
# The guest's first program: put the host's root (read-only, over 9p) under a tmpfs and go on in it with stage2.sh.

die() {
    echo "guest: $1" >/dev/console
    poweroff -f
}

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module" || die "cannot insert $module"
done </modules/order

mount -t tmpfs -o size=100% tmpfs /upper
mkdir -p /upper/files /upper/work
# Nothing writes to this tree while a guest looks at it often enough to matter, so all of it may be cached.
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=512000,ro root /lower || die "cannot mount the host's root"
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /new || die "cannot mount the overlay"
for directory in proc sys dev; do
    mount --move "/$directory" "/new/$directory"
done
mount -t tmpfs tmpfs /new/run
mkdir -p /new/run/lock /new/run/vm
cp /bin/busybox /vm/* /new/run/vm/
exec switch_root /new /run/vm/busybox sh /run/vm/stage2.sh
