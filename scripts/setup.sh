#!/usr/bin/env bash
# Installs the Debian 12 packages that a purpose needs, and nothing when they are there.
#
#   scripts/setup.sh PURPOSE...     purposes: build test lab kubernetes e2e emulation lint fuzz all; --list prints the packages only
#
# Asks nothing. Needs root, or a sudo that needs no password, only where something is missing. No service is started or
# left enabled on this machine: keepalived, haproxy and etcd are peers and oracles of the tests, started by them in namespaces.
set -euo pipefail

packages_build="build-essential cmake ninja-build ccache pkg-config git
  libcpprest-dev nlohmann-json3-dev libsimdjson-dev libnl-3-dev libnl-genl-3-dev libnl-route-3-dev libnftables-dev libkainjow-mustache-dev
  libyaml-cpp-dev libcli11-dev libspdlog-dev libfmt-dev prometheus-cpp-dev libcpp-httplib-dev libssl-dev libcap-ng-dev"
packages_test="catch2 python3 python3-pytest python3-yaml iproute2 util-linux openssl"
packages_lab="python3 python3-pytest python3-scapy python3-yaml iproute2 keepalived haproxy ipvsadm user-mode-linux
  busybox-static kmod tcpdump iptables nftables procps psmisc util-linux openssl curl"
# Debian's etcd is the second line of tests beside the one that is built. Any Go builds that and the API server.
packages_kubernetes="etcd-server openssl iproute2 python3 python3-yaml valgrind"
command -v go >/dev/null || "$(dirname "$0")/../tests/kubernetes/build" --check 2>/dev/null || packages_kubernetes+=" golang-go"
# A node's container runtime and network, and what the image has beside the libraries of the build.
packages_e2e="runc containernetworking-plugins dumb-init ca-certificates kmod iptables iproute2 gcc libc6-dev"
# The kernel itself is not installed: tests/lab/guest/debian_kernel.py fetches and unpacks it.
packages_emulation="qemu-system-x86 qemu-system-common busybox-static kmod"
packages_lint="clang-tidy-19 clang-format-19 clang-19 python3 python3-yaml catch2"
packages_fuzz="clang-19 libclang-rt-19-dev"

usage() {
  echo "usage: scripts/setup.sh [--list] build|test|lab|kubernetes|e2e|emulation|lint|fuzz|all ..." >&2
  exit 2
}

list_only=
wanted=
[ $# -gt 0 ] || usage
for purpose in "$@"; do
  case $purpose in
    --list) list_only=1 ;;
    build | test | lab | kubernetes | e2e | emulation | lint | fuzz)
      name=packages_$purpose
      wanted+=" ${!name}"
      ;;
    all) wanted+=" $packages_build $packages_test $packages_lab $packages_kubernetes $packages_e2e $packages_emulation $packages_lint $packages_fuzz" ;;
    *) usage ;;
  esac
done
mapfile -t wanted < <(tr -s ' \n' '\n\n' <<<"$wanted" | sed '/^$/d' | sort -u)
if [ -n "$list_only" ]; then
  printf '%s\n' "${wanted[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null; then
  echo "setup: this is not Debian (no dpkg-query); install by hand what 'scripts/setup.sh --list all' names" >&2
  exit 1
fi

# dpkg-query leaves with 1 where a package is unknown, which is the very case this is for.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/ installed$//p' || true)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort) <(sort -u <<<"$installed"))
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
    echo "setup: missing packages: ${missing[*]}" >&2
    echo "setup: run as root, or once by hand: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

# While this stands, invoke-rc.d and deb-systemd-invoke start nothing (Debian policy 9.3.3.2).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 0755 $policy
fi

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
    apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" </dev/null
}
update() {
  # One source of several may be unreachable and not be needed: whether it was, the installation tells.
  apt update || echo "setup: apt-get update had errors; going on with the lists there are" >&2
}

echo "setup: installing ${missing[*]}"
updated=
if ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
  update
  updated=1
fi
log=$(mktemp)
if ! apt install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
  if [ -z "$updated" ]; then
    update
    if ! apt install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
      cat "$log" >&2
      exit 1
    fi
  else
    cat "$log" >&2
    exit 1
  fi
fi
rm -f "$log"

# The packages enable their units for the next boot; whoever ran the tests did not ask for a load balancer.
for unit in keepalived haproxy etcd; do
  if printf '%s\n' "${missing[@]}" | grep -qxE "$unit(-server)?" && command -v systemctl >/dev/null; then
    "${as_root[@]}" systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
  fi
done
