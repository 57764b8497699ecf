#include "engine/ipvs/table.h"

#include <fmt/format.h>

namespace vipkeeper::ipvs {
namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

std::string settings(const ServiceKey& key, const Service& service) {
  std::string text = "scheduler " + service.scheduler;
  if (service.flags != 0) text += fmt::format(" flags {:#x}", service.flags);
  if (service.persistence_seconds != 0) {
    text += fmt::format(" persistence {} s", service.persistence_seconds);
    if (service.persistence_prefix != (key.family == Family::ipv4 ? 32U : 128U))
      text += fmt::format(" for each /{}", service.persistence_prefix);
  }
  return text;
}

std::string settings(const Destination& destination) {
  std::string text = fmt::format("{} weight {}", to_string(destination.method), destination.weight);
  if (destination.upper_threshold != 0 || destination.lower_threshold != 0)
    text += fmt::format(" thresholds {}/{}", destination.upper_threshold, destination.lower_threshold);
  return text;
}

}  // namespace

std::string DestinationKey::to_string() const { return model::endpoint_text(address, port); }

const ServiceKey& service_of(const Operation& operation) {
  return std::visit(Overloaded{[](const AddService& o) -> const ServiceKey& { return o.key; },
                               [](const SetService& o) -> const ServiceKey& { return o.key; },
                               [](const DeleteService& o) -> const ServiceKey& { return o.key; },
                               [](const auto& o) -> const ServiceKey& { return o.service; }},
                    operation);
}

std::string subject(const Operation& operation) {
  return std::visit(Overloaded{
                        [](const AddService& o) { return "add virtual service " + o.key.to_string(); },
                        [](const SetService& o) { return "change virtual service " + o.key.to_string(); },
                        [](const DeleteService& o) { return "delete virtual service " + o.key.to_string(); },
                        [](const AddDestination& o) {
                          return fmt::format("add real server {} to {}", o.key.to_string(), o.service.to_string());
                        },
                        [](const SetDestination& o) {
                          return fmt::format("change real server {} of {}", o.key.to_string(), o.service.to_string());
                        },
                        [](const DeleteDestination& o) {
                          return fmt::format("delete real server {} from {}", o.key.to_string(), o.service.to_string());
                        },
                    },
                    operation);
}

std::string to_string(const Operation& operation) {
  const std::string detail =
      std::visit(Overloaded{[](const AddService& o) { return settings(o.key, o.service); },
                            [](const SetService& o) { return "to " + settings(o.key, o.service); },
                            [](const AddDestination& o) { return settings(o.destination); },
                            [](const SetDestination& o) { return "to " + settings(o.destination); },
                            [](const auto&) { return std::string(); }},
                 operation);
  return detail.empty() ? subject(operation) : subject(operation) + " " + detail;
}

ServiceKey normalized(ServiceKey key) {
  if (key.fwmark == 0) {
    key.family = key.address.family();
    return key;
  }
  // Protocol::tcp is what the kernel itself files a fwmark service under.
  return {Protocol::tcp, IpAddress(), 0, key.fwmark, key.family};
}

Service normalized(const ServiceKey& key, Service service) {
  service.flags &= ~(flag_persistent | flag_hashed);
  if (service.persistence_seconds == 0) service.persistence_prefix = key.family == Family::ipv4 ? 32 : 128;
  return service;
}

}  // namespace vipkeeper::ipvs
