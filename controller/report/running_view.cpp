#include "controller/report/running_view.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "engine/base/ip_address.h"

namespace vipkeeper::report {

namespace {

// "10.0.0.7:8080", "[2001:db8::7]:8080"
std::string endpoint(const std::string& address, int port) {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

}  // namespace

Result<RunningView> parse_running_view(std::string_view json) {
  try {
    const auto all = nlohmann::json::parse(json);
    RunningView view;
    for (const auto& router : all.at("virtual_routers")) {
      if (router.at("state") == "MASTER") view.active_routers.insert(router.at("name").get<std::string>());
    }
    for (const auto& service : all.at("virtual_services")) {
      const std::string name =
          service.at("fwmark").is_number()
              ? fmt::format("fwmark {}", service.at("fwmark").get<std::uint32_t>())
              : fmt::format("{} {}", service.at("protocol").get<std::string>(),
                            endpoint(service.at("address").get<std::string>(), service.at("port").get<int>()));
      for (const auto& server : service.at("real_servers")) {
        if (server.at("alive").get<bool>()) continue;
        view.dead_real_servers.insert(
            {name, endpoint(server.at("address").get<std::string>(), server.at("port").get<int>())});
      }
    }
    return view;
  } catch (const nlohmann::json::exception& error) {
    return failure(ErrorCode::invalid_input,
                   fmt::format("the running instance's answer is not a status: {}", error.what()));
  }
}

}  // namespace vipkeeper::report
