#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/net/filter/ipset.h"
#include "engine/return_path/rules.h"

namespace vipkeeper::net {

// The masquerading rules by iptables and ipset, for kernels without nftables: chains of its own in table nat with a
// jump to each, and sets of its own. Runs iptables-legacy-restore and -save (ip6tables-legacy-...), which take the lock
// /run/xtables.lock; elements of sets are changed over netlink. Needs CAP_NET_ADMIN, CAP_NET_RAW and of the kernel
// iptable_nat, ip_set with hash:ip,port and hash:net, xt_set, xt_ipvs, xt_mark, xt_comment, xt_MASQUERADE.
class IptablesRules final : public return_path::KernelRules {
 public:
  // `suffix` of every name; empty, or up to 9 characters.
  explicit IptablesRules(std::string suffix) : suffix_(std::move(suffix)) {}

  [[nodiscard]] std::string_view name() const override { return "iptables"; }
  Result<return_path::FamilyRules> read(Family family) override;
  Result<void> apply(Family family, std::span<const return_path::Operation> operations) override;
  // The counts of rules and elements are compared: a few system calls.
  bool disturbed() override;
  [[nodiscard]] int events() const override { return -1; }

 private:
  // What changes of a family's rules and sets when somebody else changes them, as far as it is cheap to know.
  struct Signature {
    std::vector<std::uint32_t> table;
    std::array<std::optional<std::uint32_t>, 3> sets;
    bool operator==(const Signature&) const = default;
  };

  Result<IpSets*> sets();
  Result<std::vector<std::string>> own_lines(Family family);
  Signature signature(Family family);
  Result<void> fill_sets(Family family, const return_path::FamilyRules& rules);
  Result<void> install(Family family);
  Result<void> remove(Family family);

  const std::string suffix_;
  std::optional<IpSets> sets_;
  std::map<Family, std::vector<std::string>> installed_;  // own_lines() as this object made them
  std::map<Family, Signature> signatures_;                // of the families that have rules of ours
};

// What iptables-restore --noflush is fed to make the chains and the jumps to them: `present` are the lines that
// iptables-save prints of them now; the jumps among these are taken out first.
std::string iptables_scaffold(const std::string& suffix, Family family, const std::vector<std::string>& present);
// The same to take them away.
std::string iptables_removal(const std::string& suffix, const std::vector<std::string>& present);
// The lines of an iptables-save that declare, fill or jump to the chains, counters aside.
std::vector<std::string> own_iptables_lines(const std::string& suffix, std::string_view saved);

}  // namespace vipkeeper::net
