#include "controller/report/metrics.h"

#include <fmt/core.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>

namespace vipkeeper::report {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

// Collects families by name; a snapshot is written once and thrown away, so there is no registry to keep in step.
class Families {
 public:
  void gauge(const std::string& name, const std::string& help, Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    family(name, help, MetricType::Gauge).metric.push_back(std::move(metric));
  }

  void counter(const std::string& name, const std::string& help, Labels labels, std::uint64_t value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = static_cast<double>(value);
    family(name + "_total", help, MetricType::Counter).metric.push_back(std::move(metric));
  }

  [[nodiscard]] std::string text() const {
    std::vector<MetricFamily> all;
    for (const auto& [name, family] : families_) all.push_back(family);
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, all);
    return out.str();
  }

 private:
  MetricFamily& family(const std::string& name, const std::string& help, MetricType type) {
    MetricFamily& result = families_["vipkeeper_" + name];
    result.name = "vipkeeper_" + name;
    result.help = help;
    result.type = type;
    return result;
  }

  std::map<std::string, MetricFamily> families_;
};

void add_router(Families& families, const status::VirtualRouterStatus& router) {
  const Labels labels = {{"router", router.name},
                         {"vrid", std::to_string(router.vrid)},
                         {"family", std::string(to_string(router.family))},
                         {"interface", router.interface}};
  const auto with = [&labels](const std::string& name, const std::string& value) {
    Labels result = labels;
    result.push_back({name, value});
    return result;
  };
  for (const char* state : {"INIT", "BACKUP", "MASTER", "FAULT"}) {
    families.gauge("vrrp_state", "1 for the state the virtual router is in", with("state", state),
                   router.state == state ? 1 : 0);
  }
  families.gauge("vrrp_priority", "configured priority", labels, router.priority);
  families.gauge("vrrp_effective_priority", "priority with the weights of all trackers", labels,
                 router.effective_priority);
  const auto& counters = router.counters;
  families.counter("vrrp_adverts_received", "advertisements accepted", labels, counters.adverts_received);
  families.counter("vrrp_adverts_sent", "advertisements sent", labels, counters.adverts_sent);
  families.counter("vrrp_became_master", "transitions to MASTER", labels, counters.became_master);
  families.counter("vrrp_released_master", "transitions out of MASTER", labels, counters.released_master);
  families.counter("vrrp_priority_zero_received", "advertisements with priority 0 received", labels,
                   counters.priority_zero_received);
  families.counter("vrrp_priority_zero_sent", "advertisements with priority 0 sent", labels,
                   counters.priority_zero_sent);
  for (const auto& [reason, count] : counters.discarded) {
    families.counter("vrrp_discarded", "packets discarded, by reason", with("reason", reason), count);
  }
  for (const auto& address : router.addresses) {
    families.gauge("virtual_address_held", "1 while this node holds the address",
                   {{"router", router.name}, {"address", address.address}, {"interface", address.interface}},
                   address.present ? 1 : 0);
  }
}

void add_service(Families& families, const status::VirtualServiceStatus& service) {
  const Labels labels = service.fwmark != 0
                            ? Labels{{"fwmark", std::to_string(service.fwmark)}, {"service", service.service}}
                            : Labels{{"protocol", service.protocol},
                                     {"address", service.address},
                                     {"port", std::to_string(service.port)},
                                     {"service", service.service}};
  families.counter("virtual_service_connections", "connections scheduled", labels, service.connections);
  families.counter("virtual_service_bytes_in", "bytes from clients", labels, service.bytes_in);
  families.counter("virtual_service_bytes_out", "bytes to clients (masquerading only)", labels, service.bytes_out);
  std::size_t alive = 0;
  for (const auto& server : service.real_servers) alive += server.alive ? 1U : 0U;
  families.gauge("virtual_service_real_servers", "real servers configured", labels,
                 static_cast<double>(service.real_servers.size()));
  families.gauge("virtual_service_real_servers_alive", "real servers whose checks pass", labels,
                 static_cast<double>(alive));
}

// `NAME` or `NAME{LABEL="VALUE"}` of status::Counters.
void add_counter(Families& families, const std::string& key, std::uint64_t value) {
  const auto brace = key.find('{');
  const auto quote = key.find("=\"", brace == std::string::npos ? key.size() : brace);
  Labels labels;
  if (quote != std::string::npos && key.ends_with("\"}")) {
    labels.push_back({key.substr(brace + 1, quote - brace - 1), key.substr(quote + 2, key.size() - quote - 4)});
  }
  const std::string name = key.substr(0, brace);
  std::string help = name;
  std::ranges::replace(help, '_', ' ');
  families.counter(name, help + " since the start", std::move(labels), value);
}

}  // namespace

std::string metrics_text(const status::Snapshot& snapshot) {
  Families families;
  families.gauge("build_info", "1, labelled with the version", {{"version", snapshot.version}}, 1);
  families.gauge("uptime_seconds", "seconds since the start", {}, snapshot.uptime_seconds);
  families.gauge("config_generation", "configurations applied since the start", {},
                 static_cast<double>(snapshot.config.generation));
  families.gauge("config_synced", "1 when the source has been read whole", {}, snapshot.config.synced ? 1 : 0);
  double errors = 0;
  double warnings = 0;
  for (const auto& problem : snapshot.config.problems) (problem.error ? errors : warnings) += 1;
  families.gauge("config_problems", "problems of the configuration now", {{"severity", "error"}}, errors);
  families.gauge("config_problems", "problems of the configuration now", {{"severity", "warning"}}, warnings);
  for (const auto& router : snapshot.virtual_routers) add_router(families, router);
  for (const auto& service : snapshot.virtual_services) add_service(families, service);
  for (const auto& [key, value] : snapshot.counters) add_counter(families, key, value);
  return families.text();
}

}  // namespace vipkeeper::report
