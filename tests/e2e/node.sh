#!/bin/bash
# Becomes one node of the cluster: a containerd and a kubelet (and kube-proxy) in fresh mount, UTS and cgroup namespaces inside
# the network namespace where it is started (cluster.py). Environment: NAME, ADDRESS, POD_NETWORK, KEYS (folder), IMAGES,
# LOGS (folder), API (address:port), PROXY (empty: without kube-proxy), and the programs as tests/kubernetes/build --print names them.
# Ends with its parent; whatever it mounts is its own.
set -euo pipefail
hostname "$NAME"
mount --make-rprivate /
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# No process may sit in the namespace's root when the kubelet enables controllers there.
mkdir -p /sys/fs/cgroup/daemons
echo $BASHPID >/sys/fs/cgroup/daemons/cgroup.procs
# What is a node's own on a real host, and one for all nodes in this guest.
for folder in /run/vipkeeper /run/containerd /run/netns /run/cni /var/lib/containerd /var/lib/kubelet /var/log/pods \
              /var/log/containers /var/lib/vipkeeper; do
  mkdir -p "$folder"
  mount -t tmpfs "$NAME" "$folder"
done
touch /run/xtables.lock
touch /run/containerd/xtables.lock
mount --bind /run/containerd/xtables.lock /run/xtables.lock
mount --make-rshared /
sysctl -qw net.ipv4.ip_forward=1

mkdir -p /run/cni/net.d /run/containerd/bin
# The CNI that clusters without an overlay have: a bridge, its own address the pods' gateway, plain routes between the nodes.
cat >/run/cni/net.d/10-pods.conflist <<CONF
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
 "hairpinMode": true, "ipam": {"type": "host-local", "dataDir": "/run/cni/ipam", "ranges": [[{"subnet": "$POD_NETWORK"}]],
 "routes": [{"dst": "0.0.0.0/0"}]}}]}
CONF
cat >/run/containerd/config.toml <<CONF
version = 3
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.snapshotter.v1.blockfile', 'io.containerd.snapshotter.v1.erofs']
[plugins.'io.containerd.internal.v1.opt']
  path = '/var/lib/containerd/opt'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'localhost/pause:1'
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '/run/cni/net.d'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = '/usr/sbin/runc'
    SystemdCgroup = false
CONF
cat >/run/containerd/kubelet.yaml <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $KEYS/client-ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $KEYS/server.crt
tlsPrivateKeyFile: $KEYS/server.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
clusterDNS: [10.96.0.10]
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 4s
volumePluginDir: /var/lib/kubelet/volumeplugins
CONF
if [ -z "$PROXY" ]; then
  # What kube-proxy does for the one Service that pods need here.
  for chain in OUTPUT PREROUTING; do
    iptables -t nat -A $chain -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination "$API"
  done
fi

"$CONTAINERD" -c /run/containerd/config.toml >"$LOGS/$NAME-containerd.log" 2>&1 &
for _ in $(seq 300); do
  [ -S /run/containerd/containerd.sock ] && break
  sleep 0.2
done
for image in $IMAGES; do
  "$CTR" -n k8s.io images import --local "$image" >>"$LOGS/$NAME-import.log" 2>&1
done
"$KUBELET" --config=/run/containerd/kubelet.yaml --kubeconfig="$KEYS/kubelet.conf" --hostname-override="$NAME" --node-ip="$ADDRESS" \
  --root-dir=/var/lib/kubelet --cert-dir=/var/lib/kubelet/pki --housekeeping-interval=30s -v=1 >"$LOGS/$NAME-kubelet.log" 2>&1 &
# Its first rules at once, later ones together: each sync takes seconds of this guest's one processor.
[ -z "$PROXY" ] || "$KUBE_PROXY" --kubeconfig="$KEYS/kube-proxy.conf" --hostname-override="$NAME" --proxy-mode=iptables \
  --cluster-cidr=10.244.0.0/16 --iptables-min-sync-period=20s --iptables-sync-period=300s --conntrack-max-per-core=0 \
  --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s -v=1 >"$LOGS/$NAME-kube-proxy.log" 2>&1 &
wait
