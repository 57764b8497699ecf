#include "cmd/settings.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <utility>

#include "cmd/process.h"
#include "cmd/read_file.h"
#include "engine/net/netlink/kernel_host.h"

namespace vipkeeper::cmd {

namespace {

Result<std::vector<IpPrefix>> parse_cidrs(std::string_view flag, std::string_view list) {
  std::vector<IpPrefix> result;
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto text = list.substr(0, comma);
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) {
      return failure(ErrorCode::invalid_input,
                     fmt::format("{}: '{}' is no CIDR; write ADDRESS/LENGTH, several with commas between", flag, text));
    }
    result.push_back(*prefix);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return result;
}

Result<void> take_config_map(const std::string& name, plan::PlanOptions& plan) {
  if (name.empty()) return failure(ErrorCode::invalid_input, "Please specify --services-configmap=NAMESPACE/NAME");
  const auto slash = name.find('/');
  if (slash == std::string::npos || name.find('/', slash + 1) != std::string::npos || slash == 0 ||
      slash + 1 == name.size()) {
    return failure(ErrorCode::invalid_input,
                   fmt::format("--services-configmap: invalid format (namespace/name) found in '{}'", name));
  }
  plan.config_map_namespace = name.substr(0, slash);
  plan.config_map_name = name.substr(slash + 1);
  return {};
}

}  // namespace

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<loop::ControllerOptions> controller_options(const RunFlags& flags) {
  loop::ControllerOptions options;
  plan::PlanOptions& plan = options.plan;
  if (auto taken = take_config_map(flags.services_configmap, plan); !taken) return std::unexpected(taken.error());
  plan.watch_namespace = flags.watch_namespace;
  plan.use_unicast = flags.use_unicast;
  plan.proxy_protocol_mode = flags.proxy_protocol_mode;
  plan.vrid = static_cast<std::uint8_t>(flags.vrid);
  plan.interface = flags.iface;
  plan.node_name = flags.node_name;
  plan.host_name = host_name();
  plan.pod_namespace = environment("POD_NAMESPACE");
  plan.pod_name = environment("POD_NAME");
  if (!flags.node_ip.empty()) {
    plan.node_ip = IpAddress::parse(flags.node_ip);
    if (!plan.node_ip) {
      return failure(ErrorCode::invalid_input, fmt::format("--node-ip: '{}' is no IP address", flags.node_ip));
    }
  }
  plan.advert_interval =
      std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(flags.advert_interval));
  auto service_cidrs = parse_cidrs("--service-cidr", flags.service_cidr);
  if (!service_cidrs) return std::unexpected(service_cidrs.error());
  plan.service_cidrs = std::move(*service_cidrs);
  auto allowed = parse_cidrs("--allowed-vips", flags.allowed_vips);
  if (!allowed) return std::unexpected(allowed.error());
  plan.allowed_vips = std::move(*allowed);
  plan.notify = environment("KEEPALIVED_NOTIFY");
  if (auto valid = plan::validate_options(plan); !valid) return std::unexpected(valid.error());
  options.source_name = flags.manifests.empty() ? "apiserver" : "manifests";
  options.config_file = flags.config_file;
  return options;
}

void keep_objects(const RunFlags& flags, const std::string& server, loop::ControllerOptions& options) {
  if (server.empty()) return;
  const plan::PlanOptions& plan = options.plan;
  options.objects_file = {.path = flags.run_dir + "/objects.json",
                          .origin = {.config_map = plan.config_map_namespace + "/" + plan.config_map_name,
                                     .watch_namespace = plan.watch_namespace,
                                     .node = plan.node_name.empty() ? plan.host_name : plan.node_name,
                                     .server = server},
                          .writes = !flags.dry_run};
}

Result<render::Templates> templates(const std::string& directory) {
  if (directory.empty()) return render::Templates::built_in();
  render::TemplateTexts texts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".mustache") continue;
    auto text = read_file(entry.path());
    if (!text) return std::unexpected(text.error());
    texts[entry.path().filename()] = std::move(*text);
  }
  if (error) return failure(ErrorCode::io, fmt::format("--templates: {}: {}", directory, error.message()));
  auto result = render::Templates::from_texts(texts);
  if (!result) return std::unexpected(result.error().with_context("--templates " + directory));
  return result;
}

void warn_of_retired_flags(const RunFlags& flags) {
  for (const std::string& name : flags.retired) {
    if (name == "--logtostderr" || name == "--alsologtostderr") continue;  // what happens anyway
    std::cerr << "warning: " << name << " is taken for old manifests' sake and has no effect; remove it\n";
  }
}

void warn_of_retired_template() {
  constexpr auto path = "/keepalived.tmpl";
  std::error_code ignored;  // not there, or as good as
  if (!std::filesystem::exists(path, ignored)) return;
  spdlog::error("{}: a Go template of kube-keepalived-vip is not read: carry its changes over to --templates DIR",
                path);
}

std::vector<plan::HostInterface> host_interfaces(const run::Engine* engine) {
  std::set<std::pair<std::string, std::string>> own;
  if (engine != nullptr) {
    for (const auto& router : engine->virtual_routers()) {
      for (const auto& held : router.addresses) own.emplace(held.interface, held.address);
    }
  }
  const auto network = net::read_network();
  if (!network) {
    spdlog::error("cannot read the host's interfaces: {}", network.error().message);
    return {};
  }
  std::vector<plan::HostInterface> result;
  std::set<int> with_address;
  for (const auto& [key, address] : network->addresses()) {
    const auto* link = network->find_link(key.index);
    if (link == nullptr) continue;
    // Kernels before 5.18 do not say who put an address there. One that came second to its subnet adds nothing to what
    // the first says, and most VIPs are such.
    const bool is_ours = address.protocol == host::address_protocol || address.secondary ||
                         own.contains({link->name, key.prefix.to_string()});
    if (is_ours) continue;
    result.push_back({link->name, key.prefix});
    with_address.insert(key.index);
  }
  for (const auto& [index, link] : network->links()) {
    if (!with_address.contains(index)) result.push_back({link.name, {}});
  }
  return result;
}

}  // namespace vipkeeper::cmd
