# Runs as process 1 in the guest's final root: mount what tests need, run the command, report its status, power off.
# /run/vm has `settings` (shell variables), `mounts` (calls of share) and `command` (a shell script).

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
vm=/run/vm
b=$vm/busybox
. $vm/settings

for port in /sys/class/virtio-ports/*; do
    read -r name <"$port/name"
    case $name in
    out) out=/dev/${port##*/} ;;
    err) err=/dev/${port##*/} ;;
    control) control=/dev/${port##*/} ;;
    esac
done
exec 3>"$control"

$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o ptmxmode=666 devpts /dev/pts
$b mount -t tmpfs -o mode=1777 tmpfs /dev/shm
$b mount -t debugfs debugfs /sys/kernel/debug
$b mount -t tracefs tracefs /sys/kernel/tracing
$b mount -t bpf bpf /sys/fs/bpf
$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
$b mount -t securityfs securityfs /sys/kernel/security
if [ ! -e /dev/fd ]; then
    $b ln -s /proc/self/fd /dev/fd
    $b ln -s fd/0 /dev/stdin
    $b ln -s fd/1 /dev/stdout
    $b ln -s fd/2 /dev/stderr
fi
$b ip link set lo up
$b hostname stingless-vm

# The kernel asks for modules by running /sbin/modprobe; tests may read the kernel's configuration.
[ -e /sbin/modprobe ] || $b ln -s $b /sbin/modprobe
$b mkdir -p /lib/modules /boot
[ -e "/lib/modules/$release" ] || $b ln -s "$tree/lib/modules/$release" "/lib/modules/$release"
for config in "$tree/boot/config-$release" "$tree/lib/modules/$release/config"; do
    [ -e "/boot/config-$release" ] || [ ! -e "$config" ] || $b ln -s "$config" "/boot/config-$release"
done

# share TAG DIRECTORY: a directory of the host, writable and uncached, at the same path
share() {
    $b mkdir -p "$2"
    $b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none "$1" "$2"
}
. $vm/mounts

ulimit -l unlimited
ulimit -n 65536
ulimit -c 0
echo ready >&3

# A virtio port can be opened once only, so it cannot be the command's /dev/stdout: a pipe and a cat stand between.
$b mkfifo $vm/out $vm/err
$b cat $vm/out >"$out" &
cat_out=$!
$b cat $vm/err >"$err" &
cat_err=$!
# The host's shell runs the command: busybox's would take its own applets for the host's programs.
$b setsid /bin/sh $vm/command </dev/null >$vm/out 2>$vm/err 3>&-
status=$?
# A background child of the command may hold the pipes open: do not wait for it for ever.
($b sleep 1; $b kill $cat_out $cat_err 2>/dev/null) 3>&- &
wait $cat_out $cat_err 2>/dev/null
echo "status $status" >&3
$b poweroff -f
