#!/bin/bash
# PID 1 of the guest (guest.py has the other half). The kernel hands its unknown key=value parameters over as environment: lab_*.
# Forks are dear in here (10 ms each), so: builtins, and a static busybox.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1 LAB_OUT=/run/job/out LAB_INSIDE=$lab_inside
B=/bin/busybox

$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
K=$(</proc/sys/kernel/osrelease)
# devtmpfs is mounted already, without these
$B ln -s /proc/self/fd /dev/fd; $B ln -s fd/0 /dev/stdin; $B ln -s fd/1 /dev/stdout; $B ln -s fd/2 /dev/stderr
$B mkdir -p /dev/pts /dev/shm
$B mount -t devpts devpts /dev/pts
$B mount -t tmpfs shm /dev/shm
$B mount -t tmpfs run /run
$B mkdir -p /run/lock /run/job /run/netns
if [ "$lab_files" = hostfs ]; then
  from_host() { $B mount -t hostfs -o "ro,$1" host "$2"; } # from_host FOLDER MOUNT_POINT
  $B mount -t hostfs job /run/job -o "$lab_job"
else
  from_host() { $B mount --bind "/run/host$1" "$2"; }
  $B mkdir /run/host
  $B mount -t virtiofs -o ro root /run/host
  $B mount -t virtiofs job /run/job
fi
for p in /tmp /var/lib /var/log /var/tmp; do $B mount -t tmpfs t "$p"; done
# Seen under its own path even where that path lies under a folder that a tmpfs hides
$B mkdir -p "$lab_repository"
from_host "$lab_repository" "$lab_repository"
$B mount -t tmpfs modules /lib/modules
$B mkdir -p "/lib/modules/$K"
from_host "$lab_module_tree/$K" "/lib/modules/$K"
[ "$lab_files" = hostfs ] || $B umount /run/host # what is bound stays
$B ip link set lo up
[ -n "$lab_modules" ] && modprobe -a ${lab_modules//,/ }
ulimit -n 65536
cd "$lab_repository" || $B reboot -f # which ends the guest: neither kind boots twice
line=$lab_line
unset "${!lab_@}" K umid uml_dir

if [ -e /run/job/command ]; then
  $B stty -F "$line" raw -echo
  exec 3>"$line"
  bash /run/job/command </dev/null >&3 2>&1 3>&-
  code=$?
  $B stty -F "$line" >/dev/null # waits until all is written
  exec 3>&-
  echo "$code" >/run/job/exit_code
  $B sync
  $B reboot -f
fi

# A kept guest: whatever command file appears is run, several at a time if need be.
exec 3<>/dev/ptmx # never readable: `read -t` on it sleeps without a fork
while true; do
  for command in /run/job/exec/*.command; do
    [ -e "$command" ] || continue
    job=${command%.command}
    $B mv "$command" "$job.taken"
    {
      bash "$job.taken" </dev/null >>"$job.output" 2>&1 3<&-
      echo $? >"$job.code"
      $B mv "$job.code" "$job.exit_code"
    } &
  done
  read -r -t 0.03 -u 3 _
done
