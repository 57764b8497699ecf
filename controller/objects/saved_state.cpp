// The format of RUN_DIR/objects.json, the last good desired state: lines of JSON.
//
//     {"format":"vipkeeper
//     objects","version":1,"savedAt":"...","configMap":"default/vip-configmap","watchNamespace":"",
//      "node":"node1","server":"https://10.96.0.1:443"}
//     {"goodText":{"key":"10.0.0.50","text":"default/web"}}        for each entry
//     {"kind":"Service","object":{...}}                            for each object, as the API server would write it
//     {"lines":N,"crc32":"89abcdef"}                               of all that stands before
//
// The last line makes it whole: a file that was cut or changed anywhere is not used. It guards against a disk and a
// crash, not against a forger, who has root's rights if he can write there. Objects are read by the reader of the API's
// own JSON (json.cpp), so there is no second idea of what they are. A version of the program that adds a field which
// changes what an object means counts the version up.
//
// Pure; controller/loop/objects_file.h is the edge that reads and writes.

#include "controller/objects/saved_state.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <nlohmann/json.hpp>

#include "controller/objects/json.h"
#include "controller/objects/json_text.h"

namespace vipkeeper::objects {

namespace {

using nlohmann::json;

constexpr std::string_view format_name = "vipkeeper objects";
constexpr int format_version = 1;
constexpr std::array kinds = {Kind::config_map, Kind::service, Kind::endpoint_slice,
                              Kind::endpoints,  Kind::node,    Kind::pod};

std::unexpected<Error> bad(std::string why) { return failure(ErrorCode::invalid_input, std::move(why)); }

std::string text_member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string shown(std::string_view text) { return text.empty() ? "none" : std::string(text); }

Result<void> check_origin(const json& head, const StateOrigin& origin) {
  const auto differs = [&](const char* what, const char* name, const std::string& wanted) -> Result<void> {
    const std::string found = text_member(head, name);
    if (found == wanted) return {};
    return bad(fmt::format("it is of another {}: {}, not {}", what, shown(found), shown(wanted)));
  };
  auto same = differs("ConfigMap", "configMap", origin.config_map);
  if (same) same = differs("--watch-namespace", "watchNamespace", origin.watch_namespace);
  if (same) same = differs("node", "node", origin.node);
  if (same) same = differs("API server", "server", origin.server);
  return same;
}

// The lines of the text but the last, which is checked. The first says what it is before anything else is looked at,
// because the rest of another version may be anything.
Result<std::string_view> check_whole(std::string_view text) {
  const auto damaged = [] { return bad("it is damaged: cut short or changed"); };
  if (!text.ends_with('\n')) return damaged();
  const auto before = text.substr(0, text.size() - 1).rfind('\n');
  if (before == std::string_view::npos) return damaged();
  const auto lines = text.substr(0, before + 1);
  const json end = json::parse(text.substr(before + 1), nullptr, false);
  if (!end.is_object()) return damaged();
  boost::crc_32_type checksum;
  checksum.process_bytes(lines.data(), lines.size());
  if (text_member(end, "crc32") != fmt::format("{:08x}", checksum.checksum())) return damaged();
  return lines;
}

Result<json> read_head(std::string_view text) {
  json head = json::parse(text.substr(0, text.find('\n')), nullptr, false);
  if (!head.is_object() || text_member(head, "format") != format_name) return bad("it is not vipkeeper's");
  const auto version = head.find("version");
  if (version == head.end() || !version->is_number_integer() || *version != format_version) {
    return bad(fmt::format("it is of format version {}, this program's is {}",
                           version == head.end() ? "none" : version->dump(), format_version));
  }
  return head;
}

Result<ObjectChange> read_object(const json& line) {
  const std::string name = text_member(line, "kind");
  for (const Kind kind : kinds) {
    if (name != to_string(kind)) continue;
    auto parsed = parse_object(kind, line.at("object"));
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    return ObjectChange{std::move(parsed->key), std::make_shared<const Object>(std::move(parsed->object))};
  }
  return bad(fmt::format("kind \"{}\" is unknown", name));
}

Result<void> read_line(const json& line, Wanted wanted, SavedState& state) {
  if (!line.is_object()) return bad("a line is no JSON object");
  if (const auto good = line.find("goodText"); good != line.end()) {
    if (good->is_object()) state.good_texts.emplace(text_member(*good, "key"), text_member(*good, "text"));
    return {};
  }
  if (wanted != Wanted::all) return {};
  if (!line.contains("object")) return bad("a line says nothing");
  auto object = read_object(line);
  if (!object) return std::unexpected(std::move(object.error()));
  state.objects.push_back(std::move(*object));
  return {};
}

}  // namespace

void StateWriter::finish_line(std::string& to, std::size_t from) {
  to += '\n';
  checksum_.process_bytes(to.data() + from, to.size() - from);
  ++lines_;
}

void StateWriter::begin(std::string& to, const StateOrigin& origin, std::string_view saved_at) {
  const std::size_t from = to.size();
  fmt::format_to(std::back_inserter(to), R"({{"format":"{}","version":{})", format_name, format_version);
  const auto add = [&](std::string_view name, std::string_view value) {
    to.append(",\"").append(name).append("\":");
    append_json_string(to, value);
  };
  add("savedAt", saved_at);
  add("configMap", origin.config_map);
  add("watchNamespace", origin.watch_namespace);
  add("node", origin.node);
  add("server", origin.server);
  to += '}';
  finish_line(to, from);
}

void StateWriter::good_text(std::string& to, std::string_view key, std::string_view text) {
  const std::size_t from = to.size();
  to += R"({"goodText":{"key":)";
  append_json_string(to, key);
  to += R"(,"text":)";
  append_json_string(to, text);
  to += "}}";
  finish_line(to, from);
}

void StateWriter::object(std::string& to, const ObjectKey& key, const Object& object) {
  const std::size_t from = to.size();
  to.append(R"({"kind":")").append(to_string(key.kind)).append(R"(","object":)");
  append_json(to, key, object);
  to += '}';
  finish_line(to, from);
}

void StateWriter::end(std::string& to) {
  fmt::format_to(std::back_inserter(to), "{{\"lines\":{},\"crc32\":\"{:08x}\"}}\n", lines_, checksum_.checksum());
}

Result<SavedState> parse_saved_state(std::string_view text, const StateOrigin& origin, Wanted wanted) {
  const auto head = read_head(text);
  if (!head) return std::unexpected(head.error());
  auto lines = check_whole(text);
  if (!lines) return std::unexpected(std::move(lines.error()));
  if (auto same = check_origin(*head, origin); !same) return std::unexpected(std::move(same.error()));
  SavedState state;
  state.saved_at = text_member(*head, "savedAt");
  lines->remove_prefix(lines->find('\n') + 1);
  while (!lines->empty()) {
    const auto line = lines->substr(0, lines->find('\n'));
    lines->remove_prefix(line.size() + 1);
    // The texts stand before the objects.
    if (wanted == Wanted::good_texts && !line.starts_with(R"({"goodText")")) break;
    if (auto read = read_line(json::parse(line, nullptr, false), wanted, state); !read) {
      return std::unexpected(read.error().with_context("it cannot be read"));
    }
  }
  return state;
}

}  // namespace vipkeeper::objects
