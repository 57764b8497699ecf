#pragma once

#include <string>
#include <vector>

namespace vipkeeper::net {

// A switch of the kernel that balancing needs to be on, and that is not.
struct KernelSwitch {
  std::string name;     // as sysctl has it: "net.ipv4.vs.conntrack"
  std::string message;  // its value, what goes wrong and the remedy
};

// Sets what balancing needs of the kernel besides IPVS itself to 1 where it is not, as far as this process may, and
// returns those that are not. To be called once IPVS is there, which brings most of them, and now and then from then
// on: a few reads where all is well. `root`: where the switches are files.
std::vector<KernelSwitch> prepare_kernel(const std::string& root = "/proc/sys");

}  // namespace vipkeeper::net
