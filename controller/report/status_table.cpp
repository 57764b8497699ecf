#include "controller/report/status_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace vipkeeper::report {

namespace {

using Json = nlohmann::json;

// Rows of cells, printed with columns as wide as their widest cell. Colours are per row and do not count as width.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { rows_.push_back({std::move(header), ""}); }

  void add(std::vector<std::string> cells, std::string_view colour = "") {
    rows_.push_back({std::move(cells), std::string(colour)});
  }

  [[nodiscard]] std::string text(bool colour) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.cells.size()));
      for (std::size_t i = 0; i < row.cells.size(); ++i) widths[i] = std::max(widths[i], row.cells[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.cells.size(); ++i) {
        const bool last = i + 1 == row.cells.size();
        line += last ? row.cells[i] : fmt::format("{:<{}}  ", row.cells[i], widths[i]);
      }
      while (line.ends_with(' ')) line.pop_back();
      out += colour && !row.colour.empty() ? row.colour + line + "\x1b[0m\n" : line + "\n";
    }
    return out;
  }

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string colour;
  };
  std::vector<Row> rows_;
};

constexpr std::string_view green = "\x1b[32m";
constexpr std::string_view yellow = "\x1b[33m";
constexpr std::string_view red = "\x1b[31m";

// "3 s", "12 min", "5 h", "8 d" since an RFC 3339 time.
std::string age(const Json& time, double now_seconds) {
  if (!time.is_string()) return "-";
  std::istringstream in(time.get<std::string>());
  std::tm parts{};
  double fraction = 0;
  char c = 0;
  // strptime-like by hand: std::get_time knows no fraction.
  in >> parts.tm_year >> c >> parts.tm_mon >> c >> parts.tm_mday;
  in >> c >> parts.tm_hour >> c >> parts.tm_min >> c >> fraction;
  if (!in) return time.get<std::string>();
  const std::chrono::sys_days day = std::chrono::year(parts.tm_year) /
                                    std::chrono::month(static_cast<unsigned>(std::abs(parts.tm_mon))) /
                                    std::chrono::day(static_cast<unsigned>(std::abs(parts.tm_mday)));
  const double then = static_cast<double>(day.time_since_epoch().count()) * 86400.0 + parts.tm_hour * 3600.0 +
                      parts.tm_min * 60.0 + fraction;
  const double seconds = std::max(0.0, now_seconds - then);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} d", seconds / 86400);
}

std::string text_or(const Json& value, const std::string& otherwise) {
  return value.is_string() ? value.get<std::string>() : otherwise;
}

std::string_view router_colour(const std::string& state) {
  if (state == "MASTER") return green;
  return state == "FAULT" ? red : std::string_view{};
}

std::string routers_text(const Json& routers, double now_seconds, bool colour) {
  TextTable table(
      {"VIRTUAL ROUTER", "VRID", "INTERFACE", "STATE", "FOR", "PRIORITY", "ADVERT", "ACTIVE ROUTER", "ADDRESSES"});
  for (const Json& router : routers) {
    const auto state = router.at("state").get<std::string>();
    std::string addresses;
    for (const Json& address : router.at("addresses")) {
      if (!addresses.empty()) addresses += ", ";
      addresses += address.at("address").get<std::string>() + (address.at("present").get<bool>() ? " (held)" : "");
    }
    const int base = router.at("priority").get<int>();
    const int effective = router.at("effective_priority").get<int>();
    table.add({router.at("name").get<std::string>(), std::to_string(router.at("vrid").get<int>()),
               router.at("interface").get<std::string>(), state, age(router.at("since"), now_seconds),
               base == effective ? std::to_string(base) : fmt::format("{} (configured {})", effective, base),
               fmt::format("{:g} s", router.at("advert_interval_seconds").get<double>()),
               text_or(router.at("active_router"), "-"), addresses.empty() ? "-" : addresses},
              router_colour(state));
  }
  return table.text(colour);
}

std::string services_text(const Json& services, bool colour) {
  TextTable table({"VIRTUAL SERVICE", "SERVICE", "SCHEDULER", "MASQUERADE", "REAL SERVER", "METHOD", "WEIGHT", "ALIVE",
                   "CONNECTIONS", "CHECK"});
  for (const Json& service : services) {
    const std::string name = service.at("fwmark").is_number()
                                 ? fmt::format("fwmark {}", service.at("fwmark").get<std::uint32_t>())
                                 : fmt::format("{} {}:{}", service.at("protocol").get<std::string>(),
                                               service.at("address").get<std::string>(), service.at("port").get<int>());
    std::vector<std::string> head = {name, text_or(service.at("service"), "-"),
                                     service.at("scheduler").get<std::string>(), service.value("masquerade", "-")};
    if (service.at("real_servers").empty()) {
      head.emplace_back("(none)");
      table.add(std::move(head), yellow);
      continue;
    }
    for (const Json& server : service.at("real_servers")) {
      const bool alive = server.at("alive").get<bool>();
      std::vector<std::string> cells = std::exchange(head, {"", "", "", ""});
      for (std::string& cell : std::vector<std::string>{
               fmt::format("{}:{}", server.at("address").get<std::string>(), server.at("port").get<int>()),
               server.at("method").get<std::string>(), std::to_string(server.at("weight").get<int>()),
               alive ? (server.at("draining").get<bool>() ? "draining" : "yes") : "no",
               fmt::format("{}+{}", server.at("active_connections").get<std::uint32_t>(),
                           server.at("inactive_connections").get<std::uint32_t>()),
               text_or(server.at("check"), "-")}) {
        cells.push_back(std::move(cell));
      }
      table.add(std::move(cells), alive ? std::string_view{} : red);
    }
  }
  return table.text(colour);
}

// How replies find their way back; empty: nothing is masqueraded. A running instance of an older version says nothing.
std::string return_path_text(const Json& all) {
  const auto path = all.find("return_path");
  if (path == all.end() || !path->at("way").is_string()) return {};
  std::string text = fmt::format("masquerading by {}: {} virtual services", path->at("way").get<std::string>(),
                                 path->at("services").get<std::uint64_t>());
  std::string networks;
  for (const Json& network : path->at("networks"))
    networks += (networks.empty() ? "" : ", ") + network.get<std::string>();
  if (!networks.empty()) text += fmt::format("; auto leaves out {}", networks);
  return text + (path->at("in_place").get<bool>() ? "\n" : "; NOT IN PLACE\n");
}

std::string problems_text(const Json& problems, bool colour) {
  std::string out;
  for (const Json& problem : problems) {
    const bool error = problem.at("severity") == "error";
    const std::string line =
        fmt::format("{}: {}: {}", error ? "error" : "warning", problem.at("object").get<std::string>(),
                    problem.at("message").get<std::string>());
    out += colour ? fmt::format("{}{}\x1b[0m\n", error ? red : yellow, line) : line + "\n";
  }
  return out;
}

std::string table_text(const Json& all, double now_seconds, bool colour) {
  const Json& config = all.at("config");
  std::string out = fmt::format("vipkeeper {} on {}, up {:.0f} s; configuration {} from {}, applied {} ago{}\n",
                                all.at("version").get<std::string>(), all.at("node").get<std::string>(),
                                all.at("uptime_seconds").get<double>(), config.at("generation").get<std::uint64_t>(),
                                config.at("source").get<std::string>(), age(config.at("applied_at"), now_seconds),
                                config.at("synced").get<bool>() ? "" : ", NOT SYNCED");
  const std::string problems = problems_text(config.at("problems"), colour);
  if (!problems.empty()) out += "\n" + problems;
  out += "\n" + (all.at("virtual_routers").empty() ? std::string("no virtual routers are configured\n")
                                                   : routers_text(all.at("virtual_routers"), now_seconds, colour));
  if (!all.at("virtual_services").empty()) out += "\n" + services_text(all.at("virtual_services"), colour);
  if (const std::string path = return_path_text(all); !path.empty()) out += "\n" + path;
  return out;
}

}  // namespace

Result<std::string> status_table(std::string_view json, double now_seconds, bool colour) {
  try {
    return table_text(Json::parse(json), now_seconds, colour);
  } catch (const Json::exception& error) {
    return failure(ErrorCode::invalid_input,
                   fmt::format("the running instance's answer is not a status: {}", error.what()));
  }
}

}  // namespace vipkeeper::report
