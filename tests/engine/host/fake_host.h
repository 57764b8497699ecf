#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/host/address_plan.h"
#include "engine/host/mirror.h"
#include "engine/host/network.h"
#include "engine/host/table.h"

// A host in miniature: links, addresses, a queue of notifications of limited length, and every failure that a kernel
// can have.
namespace vipkeeper::host::test {

inline IpPrefix prefix(const std::string& text) { return IpPrefix::parse(text).value(); }

inline HostAddress address(const std::string& text, const std::string& interface = "eth0") {
  return {.interface = interface, .prefix = prefix(text), .scope = 0, .label = {}, .broadcast = {}};
}

class FakeHost final : public HostTable {
 public:
  // What becomes of an operation in place of being done; nullopt: it is done.
  std::function<std::optional<Answer>(const Operation&)> refuse = [](const Operation&) { return std::nullopt; };
  std::size_t queue_limit = 1'000'000;
  bool cannot_read = false;
  bool keeps_protocol = true;  // as kernels since 5.18
  std::set<OwnedAddress> record;
  std::vector<std::string> operations;       // "+10.0.0.1/32 eth0"
  std::vector<std::string> foreign_removed;  // must stay empty

  void set_link(int index, const std::string& name, bool up = true, std::byte mac = std::byte{1}) {
    Link link;
    link.index = index;
    link.name = name;
    link.up = true;
    link.running = up;
    link.mtu = 1500;
    link.mac = {std::byte{2}, std::byte{0}, std::byte{0}, std::byte{0}, static_cast<std::byte>(index), mac};
    happen(link);
  }
  void remove_link(int index) {
    for (const auto* one : state_.addresses_of(index)) {
      made_.erase(one->key);
    }
    happen(LinkGone{index});
  }
  // Somebody else does so.
  void put(int index, const std::string& text, std::uint8_t protocol = 0) {
    InterfaceAddress one;
    one.key = {index, prefix(text)};
    one.protocol = protocol;
    happen(one);
  }
  void take(int index, const std::string& text) {
    made_.erase({index, prefix(text)});
    happen(AddressGone{{index, prefix(text)}});
  }
  [[nodiscard]] bool has(int index, const std::string& text) const {
    return state_.find_address({index, prefix(text)}) != nullptr;
  }
  [[nodiscard]] const NetworkState& state() const { return state_; }
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }

  Result<NetworkState> read() override {
    if (cannot_read) return failure(ErrorCode::unavailable, "the kernel does not answer");
    return state_;
  }

  std::vector<Answer> apply(std::span<const Operation> wanted) override {
    std::vector<Answer> answers;
    for (const auto& one : wanted) {
      const bool adds = std::holds_alternative<AddAddress>(one);
      const auto& [index, value] =
          adds ? std::pair(std::get<AddAddress>(one).link_index, std::get<AddAddress>(one).address)
               : std::pair(std::get<RemoveAddress>(one).link_index, std::get<RemoveAddress>(one).address);
      operations.push_back((adds ? "+" : "-") + value.prefix.to_string() + " " + value.interface);
      const auto refused = refuse(one);
      if (refused && refused->outcome == Outcome::refused) {
        answers.push_back(*refused);
        continue;
      }
      const Outcome outcome = adds ? add(index, value) : remove(index, value);
      answers.push_back(refused ? *refused : Answer{outcome, outcome == Outcome::refused ? "no such device" : ""});
    }
    return answers;
  }

  // As the host's worker does it.
  std::vector<Answer> work(const AddressPiece& piece) {
    for (const auto& gone : piece.let_go) record.erase(gone);
    for (const auto& one : piece.operations) {
      if (const auto* added = std::get_if<AddAddress>(&one)) {
        record.insert({added->address.prefix, added->address.interface});
      }
    }
    return apply(piece.operations);
  }

  Result<std::vector<Notification>> changes() override {
    if (std::exchange(lost_, false)) {
      queue_.clear();
      return failure(ErrorCode::unavailable, "notifications were lost");
    }
    return std::vector<Notification>(std::exchange(queue_, {}));
  }

 private:
  Outcome add(int index, const HostAddress& value) {
    if (state_.find_link(index) == nullptr) return Outcome::refused;
    const AddressKey key{index, value.prefix};
    if (state_.find_address(key) != nullptr) return Outcome::needless;
    InterfaceAddress one;
    one.key = key;
    one.scope = value.scope;
    one.protocol = keeps_protocol ? address_protocol : std::uint8_t{0};
    made_.insert(key);
    happen(one);
    return Outcome::done;
  }
  Outcome remove(int index, const HostAddress& value) {
    const AddressKey key{index, value.prefix};
    if (state_.find_address(key) == nullptr) return Outcome::needless;
    if (made_.erase(key) == 0 && state_.find_address(key)->protocol != address_protocol &&
        !record.contains({value.prefix, value.interface})) {
      foreign_removed.push_back(value.prefix.to_string());
    }
    happen(AddressGone{key});
    return Outcome::done;
  }
  void happen(const Notification& said) {
    NetworkChanges ignored;
    state_.apply(said, ignored);
    if (lost_) return;
    if (queue_.size() >= queue_limit) {
      lost_ = true;
    } else {
      queue_.push_back(said);
    }
  }

  NetworkState state_;
  std::set<AddressKey> made_;
  std::vector<Notification> queue_;
  bool lost_ = false;
};

}  // namespace vipkeeper::host::test
