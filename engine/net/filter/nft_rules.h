#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/net/netlink/netlink_socket.h"
#include "engine/return_path/rules.h"

struct nft_ctx;

namespace vipkeeper::net {

// The masquerading rules by nftables (libnftables, in process): a table of its own in each family, `ip NAME` and
// `ip6 NAME`, made, changed and removed in transactions. Needs CAP_NET_ADMIN and of the kernel nf_tables,
// nft_chain_nat, nft_ct and nft_masq, which it loads itself where it may.
class NftRules final : public return_path::KernelRules {
 public:
  // `table`: letters, digits and '-'. `own_thread`: the name of the thread that uses this, by which its own changes are
  // told from others'.
  NftRules(std::string table, std::string own_thread);
  ~NftRules() override;
  NftRules(const NftRules&) = delete;
  NftRules& operator=(const NftRules&) = delete;

  [[nodiscard]] std::string_view name() const override { return "nftables"; }
  Result<return_path::FamilyRules> read(Family family) override;
  Result<void> apply(Family family, std::span<const return_path::Operation> operations) override;
  bool disturbed() override;
  [[nodiscard]] int events() const override { return events_ ? events_->fd() : -1; }

 private:
  struct FreeContext {
    void operator()(nft_ctx* context) const;
  };
  Result<std::string> run(const std::string& commands);
  void note_event(const nlmsghdr& message);

  const std::string table_;
  const std::string own_thread_;
  std::unique_ptr<nft_ctx, FreeContext> context_;
  std::optional<NetlinkSocket> events_;
  bool touched_ = false;                  // the transaction whose events are being read has changed what is ours
  bool disturbed_ = false;                // somebody else has
  std::map<Family, std::string> shapes_;  // of the scaffold as this object made it
};

// The commands of a transaction, in nft(8)'s language.
std::string nft_commands(const std::string& table, Family family, std::span<const return_path::Operation> operations);

// What "nft -j list table" says: the sets' elements, and in `shape` everything else, for comparison.
struct NftTable {
  return_path::FamilyRules rules;  // without its scaffold's verdict
  std::string shape;
};
Result<NftTable> parse_nft_table(const std::string& json);

}  // namespace vipkeeper::net
