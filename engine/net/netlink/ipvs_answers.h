#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "engine/ipvs/kernel_table.h"

// What the kernel's numbers mean (net/netfilter/ipvs/ip_vs_ctl.c, net/netlink/genetlink.c).
namespace vipkeeper::net {

// This process may not program IPVS; this kernel has no IPVS. Each with the remedy.
ipvs::TableError no_permission();
ipvs::TableError no_ipvs();
// A failure of the socket or of the family, not of one command: "WHAT: the number's text".
ipvs::TableError table_error(std::string_view what, int number);

// The answers to the commands of one send. `numbers`: an errno for each, 0 if it was done, nullopt if its answer was
// lost. `family_stands` is asked, at most once, whether IPVS still has the number under which the commands were sent.
//
// ENOENT is what makes this an art: ip_vs says it of a scheduler or a real server that is not there, and generic
// netlink of a family that is gone, as after the module was unloaded and loaded again. The kernel works a whole send
// off with its families held fast, so one answer that only ip_vs gives shows that all of them are ip_vs's. Without one
// it has to be asked.
ipvs::Applied judge_answers(std::span<const ipvs::Operation> operations, std::span<const std::optional<int>> numbers,
                            const std::function<bool()>& family_stands);

// Why a question about one service, or about all, was not answered.
ipvs::ReadError judge_question(int number);

}  // namespace vipkeeper::net
