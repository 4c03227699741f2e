# boot.sh FOLDER UNIT: starts systemd as the first process of namespaces of its own, on this machine's files, and ends
# with it. What is changed there is gone afterwards, but for FOLDER. Its units are in FOLDER/units, and the program is
# FOLDER/runward.
set -eu
folder=$1
unit=$2
export folder unit
own=runward-test-$$
groups=$(awk '$3 == "cgroup2" || ($3 == "cgroup" && $4 ~ /name=systemd/) { print $2 }' /proc/self/mounts)
leave() {
    for group in $groups; do
        echo $$ >"$group/cgroup.procs"
        # The last processes may still be on their way out.
        for try in 1 2 3 4 5 6 7 8 9 10; do
            find "$group/$own" -depth -type d -exec rmdir {} \; 2>/dev/null
            [ ! -e "$group/$own" ] && break
            sleep 0.1
        done
    done
}
trap leave EXIT
for group in $groups; do
    mkdir "$group/$own"
    echo $$ >"$group/$own/cgroup.procs"
done
unshare --pid --mount --uts --ipc --cgroup --fork --kill-child --propagation private sh -euc '
root=$folder/root
mkdir "$folder/upper" "$root"
mount -t tmpfs tmpfs "$folder/upper"
mkdir "$folder/upper/new" "$folder/upper/work"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper/new,workdir=$folder/upper/work" overlay "$root"
cat /etc/resolv.conf >"$folder/resolv.conf"
rm -f "$root/etc/resolv.conf"
cp "$folder/resolv.conf" "$root/etc/resolv.conf"
install -m 755 "$folder/runward" "$root/usr/bin/runward"
cp -r "$folder/units/." "$root/etc/systemd/system/"
# The folder itself is none of the overlay, whose files fanotify does not tell of.
mkdir -p "$root$folder"
mount --bind "$folder" "$root$folder"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
umount -R "$root/sys/fs/cgroup"
if grep -q "^cgroup .*name=systemd" /proc/self/mounts; then
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs tmpfs "$root/run"
cd "$root"
mkdir -p old
pivot_root . old
umount -l old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit="$unit" --log-target=console
' </dev/null
