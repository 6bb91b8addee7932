"""What is done on a host of the pool when it is leased, looked at and given back: POSIX sh, run as root.

A lease is one file on the host itself, made by a hard link, which only one can win: so several provisioners, on one
machine or on many, never share a host. It names the instance and the cluster. A host with a database of its own is
never leased: what DTrove did not bring, it does not remove.
"""

from __future__ import annotations

import shlex

LEASE = "/var/lib/dtrove-lease"
KEY_MARK = "dtrove-instance-"

# Where the packages of the databases that DTrove knows keep things, and what they and their processes are called.
_KNOWN = """
lease=/var/lib/dtrove-lease
data='/var/lib/mysql /var/lib/postgresql /var/lib/redis /var/lib/dtrove-data'
other='/etc/mysql /etc/postgresql /etc/postgresql-common /etc/redis /var/log/mysql /var/log/postgresql /var/log/redis'
processes='mariadbd mysqld postgres redis-server redis-sentinel'
services='mariadb mysql postgresql redis-server redis-sentinel'
packages() {
  dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' 'mariadb-*' 'mysql-*' 'galera-*' 'postgresql*' 'redis*' 2>/dev/null |
    awk '$1 != "un" {print $2}' | sort -u
}
"""

LOOK = """
holder=- cluster=- owner=- epoch=0
[ ! -f /var/lib/dtrove-lease ] || read -r holder cluster owner epoch < /var/lib/dtrove-lease
echo "$holder $cluster $owner ${epoch:-0}"
"""

CLAIM = (
    """set -eu
umask 022
instance=$1 cluster=$2 owner=$3 user=$4 key=$5 epoch=$6
"""
    + _KNOWN
    + """
if [ ! -f $lease ]; then
  for place in $data; do
    if [ -d "$place" ] && [ -n "$(ls -A "$place")" ]; then echo "unfit $place is there already"; exit 0; fi
  done
  for name in $processes; do
    if pgrep -x "$name" >/dev/null 2>&1; then echo "unfit $name runs on it already"; exit 0; fi
  done
  # What is there before anybody can install: it stays when the host is given back.
  packages > $lease.packages.$$ || true
  ln $lease.packages.$$ $lease.packages 2>/dev/null || true
  echo "$instance $cluster $owner $epoch" > $lease.$$
  ln $lease.$$ $lease 2>/dev/null || true
  rm -f $lease.$$ $lease.packages.$$
fi
read -r holder rest < $lease
if [ "$holder" != "$instance" ]; then echo "taken $holder"; exit 0; fi
home=$(getent passwd "$user" | cut -d: -f6)
file="$home/.ssh/authorized_keys" mark="dtrove-instance-$instance"
mkdir -p "$home/.ssh"; touch "$file"
umask 077
{ grep -vF " $mark" "$file" || true; echo "$key $mark"; } > "$file.dtrove-new"
chown "$(id -u "$user"):$(id -g "$user")" "$home/.ssh" "$file.dtrove-new"
chmod 600 "$file.dtrove-new"
mv "$file.dtrove-new" "$file"
echo leased
"""
)

RELEASE = (
    """set -eu
instance=$1 user=$2 epoch=$3
"""
    + _KNOWN
    + """
[ -f $lease ] || { echo free; exit 0; }
read -r holder cluster owner since < $lease
[ "$holder" = "$instance" ] || { echo "taken $holder"; exit 0; }
# Who stood still for long gives no host back that another has leased anew for the instance.
[ "$epoch" -eq 0 ] || [ "${since:-0}" -le "$epoch" ] || { echo "stale $since"; exit 0; }
for pid in /var/lib/dtrove/jobs/*/pid; do
  [ -f "$pid" ] && [ ! -f "${pid%/pid}/rc" ] && read -r number rest < "$pid" && kill -KILL -"$number" 2>/dev/null || true
done
if [ -d /run/systemd/system ]; then
  for name in $services; do systemctl stop "$name" 2>/dev/null || true; done
fi
for signal in TERM KILL; do
  n=0
  for name in $processes; do pkill -$signal -x "$name" 2>/dev/null || true; done
  while :; do
    alive=''
    for name in $processes; do ! pgrep -x "$name" >/dev/null 2>&1 || alive="$alive $name"; done
    [ -n "$alive" ] && [ $n -lt 200 ] || break
    n=$((n+1)); sleep 0.1
  done
done
[ -z "$alive" ] || { echo "still running:$alive" >&2; exit 1; }
@WIPE@
touch $lease.packages
ours=$(packages | grep -vxFf $lease.packages || true)
if [ -n "$ours" ]; then
  export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
  apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 purge $ours >$lease.log 2>&1 || { tail -n 20 $lease.log >&2; exit 1; }
  apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 autoremove >>$lease.log 2>&1 || true
fi
for place in $data; do
  # Emptied and not removed where it is the mount point of a disk.
  [ ! -d "$place" ] || { find "$place" -mindepth 1 -delete; rmdir "$place" 2>/dev/null || true; }
done
rm -rf /var/lib/dtrove /run/dtrove /run/dtrove-*
[ -s $lease.packages ] || rm -rf $other
home=$(getent passwd "$user" | cut -d: -f6)
file="$home/.ssh/authorized_keys"
if [ -f "$file" ]; then
  umask 077
  { grep -v -e " dtrove-instance-$instance\\$" -e ' dtrove-access-[^ ]*$' "$file" || true; } > "$file.dtrove-new"
  chown "$(id -u "$user"):$(id -g "$user")" "$file.dtrove-new"
  mv "$file.dtrove-new" "$file"
fi
rm -f $lease.packages $lease.log
rm -f $lease
echo released
"""
)


def release(wipe_script: str) -> str:
    """The script that gives a host back, with the pool's own wipe script in it, run before packages and data go."""
    if not wipe_script:
        return RELEASE.replace("@WIPE@", "")
    return RELEASE.replace("@WIPE@", f"sh -c {shlex.quote(wipe_script)} dtrove-wipe </dev/null >&2 || exit 1")
