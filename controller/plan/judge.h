#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/plan/entry.h"
#include "controller/plan/service_options.h"
#include "controller/plan/snapshot.h"

namespace vipkeeper::plan {

// What counts of one key of the ConfigMap.
struct Judgement {
  bool good = false;                      // the text is: it becomes the last good one
  std::shared_ptr<const Entry> in_force;  // null: nothing, and nothing is held
  std::vector<IpAddress> named;           // the addresses of the text and of what is in force
  std::vector<Remark> remarks;
};

// Judges an entry's text: form, addresses, flags, objects that have the address already. A bad one leaves `last_good`
// (null: none) in force. What is in force is not given up because an object took its address later: who came first
// would depend on each node's history, and an address in use would vanish.
Judgement judge_entry(const std::string& key, const std::string& text, const std::string* last_good,
                      const Snapshot& snapshot, const std::vector<HostInterface>& interfaces);

// The addresses that an entry in force (null: none) holds: those the engine has a Virtual Router for, which is IPv4's.
// Addresses and services of the other family are planned by the same rules and left out here.
std::vector<VipAddress> held_addresses(const Entry* entry);

// Whether the host is known to have no interface of that name.
bool is_missing(const std::string& interface, const std::vector<HostInterface>& interfaces);

}  // namespace vipkeeper::plan
