// A kubeconfig: whatever its text, parse_kubeconfig gives a way in that can be used, or one error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "controller/kube/access.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vipkeeper;
  const auto access = kube::parse_kubeconfig(std::string(data, data + size), "/etc");
  if (!access) {
    if (access.error().message.empty()) std::abort();
    return 0;
  }
  if (access->host.empty() || access->port == 0 || access->proxy_host.empty() != (access->proxy_port == 0))
    std::abort();
  if (access->client_certificate.empty() != access->client_key.empty()) std::abort();
  if (access->insecure && !access->ca.empty()) std::abort();
  // What it says of itself can be read again.
  if (!kube::parse_server(access->url())) std::abort();
  return 0;
}
