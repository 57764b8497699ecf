#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/ipvs/table.h"

struct nl_sock;
struct nl_msg;
struct nlmsghdr;

namespace vipkeeper::net {

// The kernel's IPVS table over generic netlink (family "IPVS", linux/ip_vs.h), in the network namespace of the thread
// that first uses the object. One thread at a time; several objects do not disturb each other.
//
// Making it touches nothing: the socket is opened and the family looked up when something is asked for, again after
// each failure, so that a module loaded later is found. Errors as KernelTable says, each with the remedy.
class IpvsNetlink final : public ipvs::KernelTable {
 public:
  // `load_module`: if the kernel has no IPVS, run "/sbin/modprobe ip_vs" (once in the life of the process).
  explicit IpvsNetlink(bool load_module = true);
  ~IpvsNetlink() override;
  IpvsNetlink(const IpvsNetlink&) = delete;
  IpvsNetlink& operator=(const IpvsNetlink&) = delete;

  Result<ipvs::Table> read() override;
  Result<std::optional<ipvs::ServiceEntry>> read(const ipvs::ServiceKey& key) override;
  std::vector<Result<void>> apply(const std::vector<ipvs::Operation>& operations) override;

  // Counters of all services, or of `keys` only (those that are there).
  Result<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> read_stats();
  Result<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> read_stats(std::span<const ipvs::ServiceKey> keys);

 private:
  struct FreeSocket {
    void operator()(nl_sock* socket) const;
  };
  using OnMessage = std::function<Result<void>(nlmsghdr* header)>;

  Result<void> connect();
  Result<int> resolve_family();
  Result<void> ask(nl_msg* request, std::uint32_t sequence, const OnMessage& on_message);
  Result<void> dump_destinations(const ipvs::ServiceKey& key, const OnMessage& on_message);
  std::size_t send_batch(std::span<const ipvs::Operation> operations, std::span<Result<void>> results);
  void collect_answers(std::uint32_t first, std::span<const ipvs::Operation> operations,
                       std::span<Result<void>> results);

  const bool load_module_;
  std::unique_ptr<nl_sock, FreeSocket> socket_;
  int family_id_ = 0;  // 0: not known
  std::uint32_t sequence_ = 1;
  std::vector<std::byte> batch_;
};

// What balancing needs of the kernel besides IPVS itself: net.ipv4.ip_forward, and of net.ipv4.vs conntrack,
// expire_nodest_conn and expire_quiescent_template, set to 1 where they are not. Best effort; a line for each that could
// not be set, with the remedy. Call it once IPVS is there, and again to see what has been mended.
std::vector<std::string> prepare_kernel();

}  // namespace vipkeeper::net
