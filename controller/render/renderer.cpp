// A plan's values -> keepalived.conf text, fragment by fragment.
//
// Pure: no file is read or written here. Reading --templates and writing --config-file are the caller's; so is what to
// do with a template that is refused (go on with the built-in one, and say so).
//
// The text is the contract between the halves of the program: what is shown is what the engine runs, and a keepalived
// would take it too, with a complaint about the two words it does not have (masquerade, on_this_node), about a
// virtual_server without a real_server, which it leaves out while the engine refuses connections there, and about a
// unicast_peer block without a peer, which it takes for multicast while the engine sends to nobody. It has the
// original's structure (instance `vips`, BACKUP with nopreempt, TCP_CHECK with 3 s, delay_loop 5), without what
// keepalived ignored with a warning there: the track_interface of the own interface, a second notify, vrrp_iptables, a
// TCP check of what is not TCP.
//
// Fragments. "0/globals" once, "1/vrrp/vips" while there is a VIP, one "2/vs/..." a virtual service, in numerical order
// of address and port. A fragment that renders to the text it had is no change. Each is an own file to the parser, so
// a problem in it names the fragment's id and the line in it; that keeps one change from moving all line numbers.
//
// Injection. Everything pasted is an address, a number, a name that Kubernetes gave, an interface or KEEPALIVED_NOTIFY;
// Values checks them all the same, so that no way into a plan becomes a way into the configuration.

#include "controller/render/renderer.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "controller/render/values.h"

namespace vipkeeper::render {

namespace {

// Seconds as advert_int takes them: "1", "0.1", "0.01", "2.5".
std::string seconds(Duration duration) {
  const auto hundredths = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 10;
  auto text = fmt::format("{}.{:02}", hundredths / 100, hundredths % 100);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string upper(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "TCP";
    case Protocol::udp:
      return "UDP";
    case Protocol::sctp:
      return "SCTP";
  }
  return "?";
}

std::vector<Values> address_values(const std::vector<plan::VipAddress>& addresses) {
  std::vector<Values> result;
  for (const auto& address : addresses) {
    Values values;
    values.text("address", address.prefix.to_string());
    values.optional_text("device", address.interface);
    values.flag("untracked", !address.tracked);
    result.push_back(std::move(values));
  }
  return result;
}

Values values_of(const plan::VrrpPlan& vrrp) {
  Values values;
  values.text("name", vrrp.name);
  values.text("interface", vrrp.interface);
  values.text("vrid", std::to_string(vrrp.vrid));
  values.text("priority", std::to_string(vrrp.priority));
  values.text("advert_int", seconds(vrrp.advert_interval));
  const bool has_arguments = vrrp.notify.find(' ') != std::string::npos;
  values.optional_text("notify", has_arguments ? "\"" + vrrp.notify + "\"" : vrrp.notify);
  // Also with nobody else: the engine takes an empty unicast_peer block for what it says.
  values.flag("unicast", vrrp.unicast);
  values.text("source", vrrp.source.to_string());
  std::vector<Values> peers;
  for (const auto& peer : vrrp.peers) peers.emplace_back().text("address", peer.to_string());
  values.list("peers", std::move(peers));
  values.list("addresses", address_values(vrrp.addresses));
  values.flag("has_excluded", !vrrp.excluded_addresses.empty());
  values.list("excluded_addresses", address_values(vrrp.excluded_addresses));
  return values;
}

Values values_of(const plan::VirtualServicePlan& service) {
  Values values;
  values.text("service", service.service);
  values.text("address", service.key.address.to_string());
  values.text("port", std::to_string(service.key.port));
  values.text("protocol", upper(service.key.protocol));
  values.text("scheduler", service.scheduler);
  values.text("method", std::string(plan::to_string(service.method)));
  // Of DR and TUN the reply never comes back this way.
  const bool masquerades = service.method == plan::Method::masquerade && service.masquerade != plan::Masquerade::never;
  values.optional_text("masquerade", masquerades ? std::string(plan::to_string(service.masquerade)) : std::string());
  const auto persistence = service.persistence_seconds;
  values.optional_text("persistence", persistence == 0 ? std::string() : std::to_string(persistence));
  const auto& check = service.check;
  const auto optional_number = [](const std::optional<std::uint32_t>& number) {
    return number ? std::to_string(*number) : std::string();
  };
  values.text("interval", std::to_string(check.interval_seconds));
  values.text("timeout", std::to_string(check.timeout_seconds));
  values.optional_text("retries", optional_number(check.retries));
  values.optional_text("retry_delay", optional_number(check.retry_seconds));
  std::vector<Values> servers;
  for (const auto& server : service.real_servers) {
    auto& added = servers.emplace_back();
    added.text("address", server.address.to_string());
    added.text("port", std::to_string(server.port));
    added.text("weight", std::to_string(server.weight));
    added.text("check_port", std::to_string(check.port != 0 ? check.port : server.port));
    added.flag("on_this_node", server.on_this_node);
    // A draining one may have stopped to accept while it still answers: a failed check would cut its connections.
    added.flag("tcp_check", check.type == plan::CheckType::tcp && server.weight != 0);
  }
  values.list("real_servers", std::move(servers));
  return values;
}

std::string vrrp_id(const plan::VrrpPlan& vrrp) { return "1/vrrp/" + vrrp.name; }

}  // namespace

std::string fragment_id(const plan::VirtualServiceKey& key) {
  std::string address;
  const auto bytes = key.address.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned>(bytes[i]);
    if (key.address.is_v4()) {
      address += fmt::format("{}{:03}", i == 0 ? "" : ".", byte);
    } else {
      address += fmt::format("{}{:02x}", i == 0 ? "[" : i % 2 == 0 ? ":" : "", byte);
    }
  }
  return fmt::format("2/vs/{}{}:{:05}/{}", address, key.address.is_v4() ? "" : "]", key.port, to_string(key.protocol));
}

bool Renderer::put(config::FragmentChange& change, std::string id, const std::string& name, const Values& values,
                   std::string& wrong) {
  if (!values.wrong().empty()) {
    wrong = fmt::format("{}: {}", id, values.wrong());
    return false;
  }
  ++rendered_;
  auto text = templates_.render(name, values);
  const auto known = fragments_.find(id);
  if (known != fragments_.end() && known->second->text == text) return true;
  auto fragment = std::make_shared<config::Fragment>();
  fragment->id = id;
  fragment->file = id;
  fragment->text = std::move(text);
  change.insert_or_assign(std::move(id), std::move(fragment));
  return true;
}

Result<config::FragmentChange> Renderer::apply(const plan::PlanChange& change) {
  config::FragmentChange result;
  if (!change.ready) return result;
  std::string wrong;
  bool good = true;
  if (!fragments_.contains("0/globals")) good = put(result, "0/globals", "globals.mustache", {}, wrong);
  if (good && change.vrrp_changed) {
    for (auto at = fragments_.lower_bound("1/vrrp/"); at != fragments_.end() && at->first.starts_with("1/vrrp/");
         ++at) {
      result[at->first] = nullptr;
    }
    if (change.vrrp != nullptr) {
      result.erase(vrrp_id(*change.vrrp));
      good = put(result, vrrp_id(*change.vrrp), "vrrp_instance.mustache", values_of(*change.vrrp), wrong);
    }
  }
  for (const auto& [key, service] : change.virtual_services) {
    if (!good) break;
    const auto id = fragment_id(key);
    if (service == nullptr) {
      if (fragments_.contains(id)) result[id] = nullptr;
      continue;
    }
    good = put(result, id, "virtual_server.mustache", values_of(*service), wrong);
  }
  if (!good) return failure(ErrorCode::invalid_input, wrong);
  for (const auto& [id, fragment] : result) {
    if (fragment == nullptr) {
      fragments_.erase(id);
    } else {
      fragments_.insert_or_assign(id, fragment);
    }
  }
  return result;
}

std::string compose(const config::FragmentChange& fragments) {
  std::string text;
  for (const auto& [id, fragment] : fragments) {
    if (fragment == nullptr) continue;
    if (!text.empty()) text += '\n';
    text += fragment->text;
    if (!text.ends_with('\n')) text += '\n';
  }
  return text;
}

}  // namespace vipkeeper::render
