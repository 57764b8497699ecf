#pragma once

#include <vector>

#include "engine/config/declared.h"
#include "engine/config/language/statement.h"

// The blocks inside a vrrp_instance that are lists, one item a line.
namespace vipkeeper::config {

// virtual_ipaddress and virtual_ipaddress_excluded. False: an item was unusable and is reported.
bool read_virtual_addresses(Findings& findings, const Statement& block, std::vector<Said<VirtualAddress>>& into);

void read_unicast_peers(Findings& findings, const Statement& block, DeclaredInstance& instance);
void read_track_interfaces(Findings& findings, const Statement& block, DeclaredInstance& instance);
void read_track_scripts(Findings& findings, const Statement& block, DeclaredInstance& instance);
void read_authentication(Findings& findings, const Statement& block, DeclaredInstance& instance);

}  // namespace vipkeeper::config
