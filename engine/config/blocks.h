#pragma once

#include <vector>

#include "engine/config/declared.h"
#include "engine/config/vocabulary.h"

// One reader for each kind of top-level block: statement -> declared value, with findings.
namespace vipkeeper::config {

void read_global_defs(Findings& findings, const Statement& block, ParsedFragment& fragment);
void read_vrrp_script(Findings& findings, const Statement& block, ParsedFragment& fragment);
void read_vrrp_instance(Findings& findings, const Statement& block, ParsedFragment& fragment);
void read_virtual_server(Findings& findings, const Statement& block, ParsedFragment& fragment);

BlockNames top_level_names();
BlockNames global_defs_names();
BlockNames vrrp_script_names();
BlockNames vrrp_instance_names();
BlockNames virtual_server_names();
BlockNames real_server_names();
BlockNames tcp_check_names();

// Of every kind of block above; made once.
const std::vector<BlockNames>& all_block_names();

// Whether the word means something in a vrrp_instance and nothing at the top level.
bool belongs_in_instance(std::string_view keyword);

// Shared by global_defs (vrrp_garp_master_*) and vrrp_instance (garp_master_*).
void read_announce_repeat(Findings& findings, const Statement& statement, DeclaredAnnounce& announce);
void read_announce_delay(Findings& findings, const Statement& statement, DeclaredAnnounce& announce);
void read_announce_refresh(Findings& findings, const Statement& statement, DeclaredAnnounce& announce);
void read_announce_refresh_repeat(Findings& findings, const Statement& statement, DeclaredAnnounce& announce);

}  // namespace vipkeeper::config
