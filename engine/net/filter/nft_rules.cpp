// Masquerading by nftables. What the table looks like, for IPv4:
//
//     table ip vipkeeper {
//       set auto   { VIP . protocol . port }          virtual services; always likewise
//       set near   { networks on this node alone }
//       chain postrouting                              (nat) masquerades what was sent to one of them
//     }
//
// A connection is known by what its client sent it to, the original direction of its conntrack entry, as the packet
// itself shows a real server by then. One that still shows the VIP is only passing through this node, which does not
// hold it; one that somebody else has sent elsewhere (kube-proxy, for a Service whose load balancer address the VIP is:
// "ct status dnat", which IPVS does not set) is theirs. "meta l4proto { ... }" is there for the parser: nft
// before 1.0.7 knows a port's type in "ct original proto-dst" only where a protocol stands before it.
//
// A transaction is whole or not at all, so a scaffold that is made anew has every element in it before a packet sees
// it.

#include "engine/net/filter/nft_rules.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <nftables/libnftables.h>

#include <array>
#include <nlohmann/json.hpp>

namespace vipkeeper::net {
namespace {

using nlohmann::json;
using return_path::FamilyRules;
using return_path::Masquerade;
using return_path::Operation;
using return_path::Scaffold;
using return_path::ServicePort;

// Elements in one command: the parser's memory stays small.
constexpr std::size_t elements_a_command = 1000;

std::string_view family_name(Family family) { return family == Family::ipv4 ? "ip" : "ip6"; }
std::string_view set_name(Masquerade masquerade) { return masquerade == Masquerade::always ? "always" : "auto"; }

std::string scaffold(const std::string& table, Family family) {
  // Deleting what is not there is an error, so it is added before.
  constexpr std::string_view text = R"(add table {0} {1}
delete table {0} {1}
table {0} {1} {{
  set auto {{ type {2} . inet_proto . inet_service; }}
  set always {{ type {2} . inet_proto . inet_service; }}
  set near {{ type {2}; flags interval; }}
  chain postrouting {{
    type nat hook postrouting priority 90; policy accept;
    ct status dnat return
    {0} daddr . meta l4proto . th dport @auto return
    {0} daddr . meta l4proto . th dport @always return
    {3} ct original {0} daddr . meta l4proto . ct original proto-dst @always masquerade
    {0} daddr @near {0} saddr != @near return
    {3} ct original {0} daddr . meta l4proto . ct original proto-dst @auto masquerade
  }}
}}
)";
  return fmt::format(text, family_name(family), table, family == Family::ipv4 ? "ipv4_addr" : "ipv6_addr",
                     "meta l4proto { tcp, udp, sctp }");
}

std::string element(const ServicePort& service) {
  return fmt::format("{} . {} . {}", service.address.to_string(), static_cast<int>(service.protocol), service.port);
}

// What of a command may be joined with the one before: "add element ip vipkeeper auto", and its element.
struct Element {
  std::string command;
  std::string text;
};

Element element_of(const std::string& table, Family family, const Operation& operation) {
  const auto command = [&](std::string_view verb, std::string_view set) {
    return fmt::format("{} element {} {} {}", verb, family_name(family), table, set);
  };
  if (const auto* add = std::get_if<return_path::AddService>(&operation))
    return {command("add", set_name(add->masquerade)), element(add->service)};
  if (const auto* remove = std::get_if<return_path::DeleteService>(&operation))
    return {command("delete", set_name(remove->masquerade)), element(remove->service)};
  if (const auto* add = std::get_if<return_path::AddNear>(&operation))
    return {command("add", "near"), add->network.to_string()};
  if (const auto* remove = std::get_if<return_path::DeleteNear>(&operation))
    return {command("delete", "near"), remove->network.to_string()};
  return {};
}

std::optional<Protocol> protocol_of(const json& value) {
  if (value == "tcp" || value == "6" || value == 6) return Protocol::tcp;
  if (value == "udp" || value == "17" || value == 17) return Protocol::udp;
  if (value == "sctp" || value == "132" || value == 132) return Protocol::sctp;
  return std::nullopt;
}

std::optional<ServicePort> service_of(const json& element) {
  const json& words = element.at("concat");
  const auto address = IpAddress::parse(words.at(0).get<std::string>());
  const auto protocol = protocol_of(words.at(1));
  if (!address || !protocol) return std::nullopt;
  return ServicePort{*address, *protocol, words.at(2).get<std::uint16_t>()};
}

std::optional<IpPrefix> network_of(const json& element) {
  if (element.is_string()) return IpPrefix::parse(element.get<std::string>());
  const json& prefix = element.at("prefix");
  return IpPrefix::parse(fmt::format("{}/{}", prefix.at("addr").get<std::string>(), prefix.at("len").get<int>()));
}

void take_elements(const std::string& set, const json& elements, FamilyRules& rules) {
  for (const json& each : elements) {
    if (set == "near") {
      if (const auto network = network_of(each)) rules.near.insert(*network);
    } else if (const auto service = service_of(each)) {
      rules.services[*service] = set == "always" ? Masquerade::always : Masquerade::automatic;
    }
  }
}

// libnftables says what is wrong in several lines that quote the command.
std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  constexpr std::string_view mark = "Error: ";
  const auto at = text.find(mark);
  return std::string(at == std::string_view::npos ? text : text.substr(at + mark.size()));
}

Error nft_error(std::string_view text) {
  const std::string line = first_line(text);
  const auto says = [&](std::string_view words) { return line.find(words) != std::string::npos; };
  if (says("Operation not permitted"))
    return {ErrorCode::permission, fmt::format("nftables: {}: the capability NET_ADMIN is missing", line)};
  if (says("No such file or directory")) return {ErrorCode::not_found, fmt::format("nftables: {}", line)};
  if (says("not supported") || says("cache initialization failed"))
    return {ErrorCode::unsupported, fmt::format("nftables: {}", line)};
  return {ErrorCode::io, fmt::format("nftables: {}", line)};
}

}  // namespace

std::string nft_commands(const std::string& table, Family family, std::span<const Operation> operations) {
  std::string text, open;
  std::size_t elements = 0;
  const auto close = [&] {
    if (!open.empty()) text += " }\n";
    open.clear();
    elements = 0;
  };
  for (const Operation& operation : operations) {
    if (std::holds_alternative<return_path::MakeScaffold>(operation)) {
      close();
      text += scaffold(table, family);
      continue;
    }
    if (std::holds_alternative<return_path::RemoveScaffold>(operation)) {
      close();
      text += fmt::format("add table {0} {1}\ndelete table {0} {1}\n", family_name(family), table);
      continue;
    }
    const auto [command, word] = element_of(table, family, operation);
    if (command != open || elements == elements_a_command) {
      close();
      text += command + " { ";
      open = command;
    } else {
      text += ", ";
    }
    text += word;
    ++elements;
  }
  close();
  return text;
}

Result<NftTable> parse_nft_table(const std::string& text) {
  try {
    NftTable result;
    json shape = json::array();
    const json parsed = json::parse(text);
    for (const json& object : parsed.at("nftables")) {
      if (object.contains("metainfo")) continue;
      json kept = object;
      for (auto& [kind, fields] : kept.items()) {
        if (kind == "set" && fields.contains("elem")) {
          take_elements(fields.at("name").get<std::string>(), fields.at("elem"), result.rules);
          fields.erase("elem");
        }
        fields.erase("handle");
      }
      shape.push_back(std::move(kept));
    }
    result.shape = shape.dump();
    return result;
  } catch (const json::exception& error) {
    return failure(ErrorCode::io, fmt::format("nftables: its answer cannot be read: {}", error.what()));
  }
}

void NftRules::FreeContext::operator()(nft_ctx* context) const { nft_ctx_free(context); }

NftRules::NftRules(std::string table, std::string own_thread)
    : table_(std::move(table)), own_thread_(std::move(own_thread)) {}
NftRules::~NftRules() = default;

Result<std::string> NftRules::run(const std::string& commands) {
  if (!context_) {
    // Where the kernel has no nfnetlink, libnftables ends the whole process (netlink_open_error): it is asked for
    // first.
    if (const auto socket = NetlinkSocket::open({}, NETLINK_NETFILTER); !socket)
      return failure(ErrorCode::unsupported, fmt::format("nftables: {}: load nf_tables", socket.error().message));
    context_.reset(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context_) return failure(ErrorCode::io, "nftables: libnftables could not be started");
    nft_ctx_buffer_output(context_.get());
    nft_ctx_buffer_error(context_.get());
    nft_ctx_output_set_flags(context_.get(), NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PROTO);
  }
  const int failed = nft_run_cmd_from_buffer(context_.get(), commands.c_str());
  // Both buffers are emptied by being asked for.
  std::string output = nft_ctx_get_output_buffer(context_.get());
  const std::string errors = nft_ctx_get_error_buffer(context_.get());
  if (failed != 0) {
    // What it remembers of the tables may be the reason.
    context_.reset();
    return std::unexpected(nft_error(errors));
  }
  return output;
}

Result<FamilyRules> NftRules::read(Family family) {
  disturbed_ = false;
  auto text = run(fmt::format("list table {} {}", family_name(family), table_));
  if (!text) {
    // No such table, or a kernel that has none: nothing of ours is there either way.
    if (text.error().code == ErrorCode::not_found || text.error().code == ErrorCode::unsupported) return FamilyRules{};
    return std::unexpected(text.error());
  }
  auto table = parse_nft_table(*text);
  if (!table) return std::unexpected(table.error());
  const auto made = shapes_.find(family);
  const bool is_ours = made != shapes_.end() && made->second == table->shape;
  table->rules.scaffold = is_ours ? Scaffold::right : Scaffold::other;
  return std::move(table->rules);
}

Result<void> NftRules::apply(Family family, std::span<const Operation> operations) {
  if (!events_) {
    constexpr std::array groups{int{NFNLGRP_NFTABLES}};
    if (auto opened = NetlinkSocket::open(groups, NETLINK_NETFILTER)) events_.emplace(std::move(*opened));
  }
  const bool makes = !operations.empty() && std::holds_alternative<return_path::MakeScaffold>(operations.front());
  if (auto done = run(nft_commands(table_, family, operations)); !done) {
    Error error = done.error();
    // What is not there is then not one of ours but something that the rules are made of.
    if (makes && error.code == ErrorCode::not_found) error.code = ErrorCode::unsupported;
    return std::unexpected(error);
  }
  if (!makes) return {};
  // How this kernel and this library tell of it is what it is compared with from now on.
  auto text = run(fmt::format("list table {} {}", family_name(family), table_));
  if (!text) return std::unexpected(text.error());
  auto table = parse_nft_table(*text);
  if (!table) return std::unexpected(table.error());
  shapes_[family] = std::move(table->shape);
  return {};
}

// A transaction's events end with one that names the thread whose it was (NFTA_GEN_PROC_NAME).
void NftRules::note_event(const nlmsghdr& message) {
  if (NFNL_SUBSYS_ID(message.nlmsg_type) != NFNL_SUBSYS_NFTABLES) return;
  auto* header = const_cast<nlmsghdr*>(&message);
  const auto attribute = [&](int type) -> std::string {
    const nlattr* found = nlmsg_find_attr(header, sizeof(nfgenmsg), type);
    if (found == nullptr) return {};
    return {static_cast<const char*>(nla_data(found)),
            strnlen(static_cast<const char*>(nla_data(found)), static_cast<std::size_t>(nla_len(found)))};
  };
  if (NFNL_MSG_TYPE(message.nlmsg_type) == NFT_MSG_NEWGEN) {
    if (touched_ && attribute(NFTA_GEN_PROC_NAME) != own_thread_) disturbed_ = true;
    touched_ = false;
    return;
  }
  // Every other kind of event has its table's name as its first attribute.
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
                NFTA_SET_ELEM_LIST_TABLE == 1);
  if (attribute(NFTA_TABLE_NAME) == table_) touched_ = true;
}

bool NftRules::disturbed() {
  if (!events_) return false;
  // Events were lost, or cannot be read: anything may have happened.
  if (!events_->receive([this](nlmsghdr& message) { note_event(message); })) disturbed_ = true;
  return disturbed_;
}

}  // namespace vipkeeper::net
