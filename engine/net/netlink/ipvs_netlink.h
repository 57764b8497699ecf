#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/ipvs/kernel_table.h"

struct nl_sock;
struct nl_msg;
struct nlmsghdr;

namespace vipkeeper::net {

// The kernel's IPVS table over generic netlink (family "IPVS", linux/ip_vs.h), in the network namespace of the thread
// that first uses the object. One thread at a time; several objects do not disturb each other.
//
// Making it touches nothing: the socket is opened and the family looked up when something is asked for, again after
// each error of the table, so that a module loaded later, or anew, is found. Errors have the remedy.
class IpvsNetlink final : public ipvs::KernelTable {
 public:
  // `load_module`: if the kernel has no IPVS, run "/sbin/modprobe ip_vs" (once in the life of the process).
  explicit IpvsNetlink(bool load_module = true);
  ~IpvsNetlink() override;
  IpvsNetlink(const IpvsNetlink&) = delete;
  IpvsNetlink& operator=(const IpvsNetlink&) = delete;

  ipvs::TableResult<ipvs::Table> read() override;
  std::expected<std::optional<ipvs::ServiceEntry>, ipvs::ReadError> read(const ipvs::ServiceKey& key) override;
  ipvs::Applied apply(const std::vector<ipvs::Operation>& operations) override;

  // Counters of all services, or of `keys` only (those that are there).
  ipvs::TableResult<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> read_stats();
  ipvs::TableResult<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> read_stats(std::span<const ipvs::ServiceKey> keys);

 private:
  struct FreeSocket {
    void operator()(nl_sock* socket) const;
  };
  using OnMessage = std::function<Result<void>(nlmsghdr* header)>;
  using Answered = std::expected<void, ipvs::ReadError>;

  ipvs::TableResult<void> connect();
  ipvs::TableResult<int> resolve_family();
  bool family_stands();
  Answered ask(nl_msg* request, std::uint32_t sequence, const OnMessage& on_message);
  Answered dump_destinations(const ipvs::ServiceKey& key, const OnMessage& on_message);
  ipvs::Applied send_batch(std::span<const ipvs::Operation> operations);
  std::vector<std::optional<int>> collect_answers(std::uint32_t first, std::size_t count);

  const bool load_module_;
  std::unique_ptr<nl_sock, FreeSocket> socket_;
  int family_id_ = 0;  // 0: not known
  std::uint32_t sequence_ = 1;
  std::vector<std::byte> batch_;
};

}  // namespace vipkeeper::net
