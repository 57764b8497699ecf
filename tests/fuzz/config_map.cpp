// A whole ConfigMap on its way to the engine: whatever its entries say, what is rendered is a configuration without a
// complaint that holds what was planned, the good entries beside it are served, and once they are gone nothing is left
// of them. The entries are KEY TAB VALUE, with a NUL between them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/plan/planner.h"
#include "controller/render/renderer.h"
#include "engine/config/configuration.h"

namespace {

using namespace vipkeeper;
using Data = std::map<std::string, std::string>;

void demand(bool holds) {
  if (!holds) std::abort();
}

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

template <class T>
objects::ObjectChange is(objects::Kind kind, const char* name_space, const std::string& name, T object) {
  return {{kind, name_space, name}, std::make_shared<const objects::Object>(std::move(object))};
}

// Services a, b and good, on two ports each, with endpoints of both families.
std::vector<objects::ObjectChange> cluster() {
  std::vector<objects::ObjectChange> changes;
  for (const char* name : {"a", "b", "good"}) {
    objects::Service service;
    const bool good = std::string_view(name) == "good";
    const std::uint16_t port = good ? 7777 : 80;
    service.ports = {{.name = "http", .protocol = Protocol::tcp, .port = port, .target_port = std::uint16_t{8080}},
                     {.name = "dns", .protocol = Protocol::udp, .port = 53, .target_port = std::uint16_t{53}}};
    changes.push_back(is(objects::Kind::service, "default", name, service));
    for (const char* address : {"10.2.0.5", "2001:db8:2::5"}) {
      objects::EndpointSlice slice;
      slice.service = name;
      slice.family = ip(address).family();
      slice.ports = {{.name = "http", .protocol = Protocol::tcp, .port = 8080},
                     {.name = "dns", .protocol = Protocol::udp, .port = 53}};
      slice.endpoints = {{.address = ip(address)}};
      changes.push_back(is(objects::Kind::endpoint_slice, "default", name + std::string(address), slice));
    }
  }
  objects::Node node;
  node.internal_addresses = {ip("10.0.0.4")};
  changes.push_back(is(objects::Kind::node, "", "n1", node));
  return changes;
}

objects::ObjectChange config_map(const Data& data) {
  return is(objects::Kind::config_map, "default", "vips", objects::ConfigMap{.data = data});
}

const Data good_entries = {
    {"10.0.0.50", "default/good"},
    {"middle", "addresses: 10.0.0.51/24\nservices: [{service: default/good}]"},
    {"~", "addresses: [10.0.0.52]\ninterface: eth1\nservices: [{service: default/good, ports: http}]"}};

Data entries_of(std::string_view text) {
  Data data = good_entries;
  while (!text.empty()) {
    const auto record = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(record.size() + 1, text.size()));
    const auto tab = record.find('\t');
    if (tab == std::string_view::npos) continue;
    data.emplace(record.substr(0, tab), record.substr(tab + 1));
  }
  return data;
}

void demand_good_entries(const plan::VipPlan& plan) {
  demand(plan.ready && plan.vrrp != nullptr);
  for (const char* address : {"10.0.0.50", "10.0.0.51", "10.0.0.52"}) {
    const auto holds = [&](const auto& held) { return held.prefix.address == ip(address); };
    demand(std::ranges::any_of(plan.vrrp->addresses, holds) ||
           std::ranges::any_of(plan.vrrp->excluded_addresses, holds));
    demand(plan.virtual_services.contains({.address = ip(address), .port = 7777, .protocol = Protocol::tcp}));
  }
}

void demand_one_line(const std::string& text) {
  demand(!text.empty() && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
}

// The text of the fragments as a file of their own, and what the parser makes of it.
void demand_text(const render::Renderer& renderer, const plan::VipPlan& plan) {
  const auto text = render::compose(renderer.fragments());
  config::Configuration engine;
  const auto applied = engine.apply(config::split("f", text, {}));
  demand(applied && applied->problems.empty());
  demand(engine.virtual_server_count() == plan.virtual_services.size());
  demand(engine.instances().size() == 1);
  const auto& instance = *engine.instances().front();
  demand(instance.addresses.size() == plan.vrrp->addresses.size());
  demand(instance.excluded_addresses.size() == plan.vrrp->excluded_addresses.size());
  for (std::size_t i = 0; i < instance.addresses.size(); ++i) {
    const auto& planned = plan.vrrp->addresses[i];
    demand(instance.addresses[i].prefix == planned.prefix && instance.addresses[i].no_track == !planned.tracked);
    demand(instance.addresses[i].interface == (planned.interface.empty() ? plan.vrrp->interface : planned.interface));
  }
  for (const auto& [key, service] : plan.virtual_services) {
    const auto server = engine.virtual_server({key.protocol, key.address, key.port, 0, key.address.family()});
    demand(server && server->comment == service->service && server->scheduler == service->scheduler);
    demand(server->real_servers.size() == service->real_servers.size());
    demand(server->persistence_seconds == service->persistence_seconds);
  }
}

void demand_all(const plan::Planner& planner, const render::Renderer& renderer) {
  const auto& plan = planner.plan();
  demand(same(plan, build_plan(planner.snapshot(), planner.interfaces(), planner.memory())));
  for (const auto& problem : all_problems(plan.problems)) {
    demand_one_line(problem.object);
    demand_one_line(problem.message);
  }
  demand_good_entries(plan);
  demand_text(renderer, plan);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  plan::PlanOptions options;
  options.config_map_name = "vips";
  options.host_name = "n1";
  plan::Planner planner(options);
  planner.set_interfaces({{"eth0", *IpPrefix::parse("10.0.0.4/24")}, {"eth1", *IpPrefix::parse("192.168.5.1/24")}});
  render::Renderer renderer(render::Templates::built_in());

  const auto step = [&](const std::vector<objects::ObjectChange>& changes) {
    const auto change = planner.apply(changes, true);
    demand(renderer.apply(change).has_value());
  };
  auto changes = cluster();
  changes.push_back(config_map(good_entries));
  step(changes);
  const auto before = planner.plan();
  demand_good_entries(before);
  step({config_map(entries_of({reinterpret_cast<const char*>(data), size}))});
  demand_all(planner, renderer);
  step({config_map(good_entries)});
  demand(same(planner.plan(), before));
  return 0;
}
