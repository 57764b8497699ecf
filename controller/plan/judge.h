#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/plan/entry.h"
#include "controller/plan/remarks.h"
#include "controller/plan/snapshot.h"

namespace vipkeeper::plan {

// One key of the ConfigMap, read: by its form alone, which no object and no other entry changes.
struct ReadEntry {
  std::shared_ptr<const Entry> entry;      // null: the text is wrong
  std::vector<std::string> wrong;          // then what is
  std::shared_ptr<const Entry> last_good;  // of the last good text; null: there is none, or it is none any more
  std::optional<IpAddress> key;            // where that is an address

  // The addresses that it names, in the text and in the last good one: what it holds, or would like to, or what nodes
  // with a longer memory may hold for it.
  [[nodiscard]] std::vector<IpAddress> claims() const;
};

// `last_good`: the text that was good last; null: none was.
ReadEntry read_entry(const std::string& key, const std::string& text, const std::string* last_good);

// What counts of one key of the ConfigMap.
struct Judgement {
  bool good = false;                      // the text is: it becomes the last good one
  std::shared_ptr<const Entry> in_force;  // null: nothing, and nothing is held
  Remarks remarks;
};

// Judges an entry: addresses, flags, objects that have the address already. A bad one leaves its last good form in
// force. What is in force is not given up because an object took its address later: who came first would depend on each
// node's history, and an address in use would vanish.
Judgement judge_entry(const ReadEntry& read, const Snapshot& snapshot, const std::vector<HostInterface>& interfaces);

// The addresses that an entry in force (null: none) holds: those the engine has a Virtual Router for, which is IPv4's.
// Addresses and services of the other family are planned by the same rules and left out here.
std::vector<VipAddress> held_addresses(const Entry* entry);

// Whether the host is known to have no interface of that name.
bool is_missing(const std::string& interface, const std::vector<HostInterface>& interfaces);

}  // namespace vipkeeper::plan
