#pragma once

namespace vipkeeper::net {

// Runs "/sbin/modprobe -q ip_vs" the first time it is called in this process and waits for it, some seconds at most.
// True: it was run now and said 0. In a container it works with the host's /lib/modules mounted and the capability
// SYS_MODULE; without them this is simply false, and so it is if the host's modprobe hangs. A module that comes later
// is found all the same.
bool load_ipvs_module_once();

}  // namespace vipkeeper::net
