#!/usr/bin/env bash
# scripts/test.sh RING...   runs rings and ends with `N passed, N failed`; ends 0 only if nothing failed.
#
#   unit        the Catch2 programs (unit and simulation), by nobody and without a network
#   cli         the release program as a newcomer meets it: usage, exit codes, messages
#   house       the rules of the tree: pure folders, direction of includes, headers alone, deployment files, documents
#   lab         real kernels and real peers: namespaces inside a User Mode Linux guest; needs root
#   nftables    the lab's tests of masquerading again, in Debian's own kernel under emulation, which has nftables; needs root
#   cluster     the lab's nodes in a cluster: a real API server and etcd, built once by tests/kubernetes/build; needs root
#   e2e         a real Kubernetes cluster, kubelets and all, without kube-proxy and with it; needs root
#   asan-ubsan, tsan    `unit` again, under the sanitizers
#   fuzz        each fuzzer for FUZZ_SECONDS (20)
#   lint        clang-format and clang-tidy
#
# Each ring leaves JUnit files in build/results/RING. KEEP_RESULTS=1 adds to those of an earlier call instead of starting
# afresh. A stage that cannot be done at all (a program that does not compile) counts as one failed test of ring "stage".
set -uo pipefail
cd "$(dirname "$0")/.."
results=build/results
[ -n "${KEEP_RESULTS:-}" ] || rm -rf "$results"
mkdir -p "$results"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
export PYTHONDONTWRITEBYTECODE=1
expected=()

# stage NAME COMMAND...   a failure is written down as a failed test.
stage() {
  local name=$1 started=$SECONDS
  shift
  echo "== $name"
  "$@"
  local code=$?
  if [ $code != 0 ]; then
    mkdir -p "$results/stage"
    printf '<testsuite name="stage"><testcase classname="stage" name="%s"><failure message="exit code %s"/></testcase></testsuite>\n' \
      "$name" $code >"$results/stage/${name//[^a-z0-9-]/_}.xml"
  fi
  echo "== $name: $((SECONDS - started)) s"
  return $code
}

suite() { # suite PRESET [OPTION...]
  local preset=$1
  shift
  scripts/run_suite.py --tree "build/$preset" --results "$results" "$@" || true # its failures are in the results
}

# Failures that are in the results are counted there; any other makes the stage fail.
told() { # told CODE FILE
  [ "$1" = 0 ] || grep -qE '<(failure|error|skipped)[ >/]' "$2" 2>/dev/null
}

house() {
  /usr/bin/python3 -m pytest -q -p no:cacheprovider --junit-xml "$results/house/house.xml" tests/house
  told $? "$results/house/house.xml"
}

cli() {
  /usr/bin/python3 -m pytest -q -p no:cacheprovider --junit-xml "$results/cli/cli.xml" tests/cli
  told $? "$results/cli/cli.xml"
}

lab() {
  mkdir -p "$results/lab"
  "${as_root[@]}" tests/lab/run --junitxml "$results/lab/lab.xml"
  told $? "$results/lab/lab.xml"
}

nftables() {
  mkdir -p "$results/nftables"
  "${as_root[@]}" env LAB=emulation tests/lab/run -t 1500 -m masquerade --junitxml "$results/nftables/nftables.xml"
  told $? "$results/nftables/nftables.xml"
}

# First what needs no root, then the lab. Where the programs are is found out by the user who built them: root has another home.
cluster() {
  local -a programs
  mapfile -t programs < <(tests/kubernetes/build --print)
  mkdir -p "$results/cluster"
  /usr/bin/python3 -m pytest -q -p no:cacheprovider --junit-xml "$results/cluster/control_plane.xml" tests/control_plane
  told $? "$results/cluster/control_plane.xml" || return
  "${as_root[@]}" env "${programs[@]}" tests/lab/run --control-plane --junitxml "$results/cluster/cluster.xml"
  told $? "$results/cluster/cluster.xml"
}

e2e() {
  local -a programs
  mapfile -t programs < <(tests/kubernetes/build --nodes --print)
  mkdir -p "$results/e2e"
  # E2E_TESTS: a marker expression, as pytest's -m has it.
  "${as_root[@]}" env "${programs[@]}" tests/e2e/run --junitxml "$results/e2e/e2e.xml" ${E2E_TESTS:+-m "$E2E_TESTS"}
  told $? "$results/e2e/e2e.xml"
}

fuzzers() {
  scripts/run_fuzzers.py --results "$results/fuzz"
  told $? "$results/fuzz/fuzz.xml"
}

lint() {
  scripts/lint.py --results "$results/lint"
  told $? "$results/lint/lint.xml"
}

for ring in "$@"; do
  case $ring in
    unit)
      expected+=(unit simulation)
      stage "setup for unit" scripts/setup.sh build test && stage "build dev" scripts/build.sh dev tests &&
        stage "unit tests" suite dev
      ;;
    asan-ubsan | tsan)
      expected+=("unit ($ring)" "simulation ($ring)")
      stage "setup for $ring" scripts/setup.sh build test && stage "build $ring" scripts/build.sh "$ring" tests &&
        stage "unit tests ($ring)" suite "$ring" --fixed-addresses --timeout 900 --suffix " ($ring)"
      ;;
    house)
      expected+=(house)
      stage "setup for house" scripts/setup.sh build test && stage "build for house" scripts/build.sh release vipkeeper &&
        stage "house tests" house
      ;;
    cli)
      expected+=(cli)
      stage "setup for cli" scripts/setup.sh build test && stage "build for cli" scripts/build.sh release vipkeeper &&
        stage "cli tests" cli
      ;;
    lab)
      expected+=(lab)
      stage "setup for lab" scripts/setup.sh build lab && stage "build release" scripts/build.sh release vipkeeper &&
        stage "lab tests" lab
      ;;
    nftables)
      expected+=(nftables)
      stage "setup for nftables" scripts/setup.sh build lab emulation &&
        stage "build for nftables" scripts/build.sh release vipkeeper && stage "nftables tests" nftables
      ;;
    cluster)
      expected+=(cluster)
      stage "setup for cluster" scripts/setup.sh build lab kubernetes &&
        stage "build for cluster" scripts/build.sh release vipkeeper &&
        stage "build of Kubernetes" tests/kubernetes/build && stage "cluster tests" cluster
      ;;
    e2e)
      expected+=(e2e)
      stage "setup for e2e" scripts/setup.sh build lab kubernetes e2e &&
        stage "build for e2e" scripts/build.sh release vipkeeper &&
        stage "build of Kubernetes' nodes" tests/kubernetes/build --nodes && stage "end-to-end tests" e2e
      ;;
    fuzz)
      expected+=(fuzz)
      stage "setup for fuzz" scripts/setup.sh build fuzz && stage "build fuzz" scripts/build.sh fuzz fuzzers &&
        stage "fuzzers" fuzzers
      ;;
    lint)
      expected+=(lint)
      stage "setup for lint" scripts/setup.sh build lint && stage "lint" lint
      ;;
    *)
      echo "test: no ring is called '$ring'; there are unit, cli, house, lab, nftables, cluster, e2e, asan-ubsan, tsan, fuzz and lint" >&2
      exit 2
      ;;
  esac
done

scripts/summary.py "$results" "${expected[@]}"
