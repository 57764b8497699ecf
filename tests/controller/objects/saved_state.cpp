#include "controller/objects/saved_state.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "controller/objects/json.h"
#include "controller/objects/json_text.h"
#include "tests/controller/objects/random_objects.h"

namespace vipkeeper::objects {
namespace {

const StateOrigin origin = {
    .config_map = "default/vips", .watch_namespace = "", .node = "node1", .server = "https://10.96.0.1:443"};

using Written = std::vector<std::pair<ObjectKey, Object>>;

std::string saved(const Written& objects, const std::map<std::string, std::string>& good_texts = {}) {
  std::string text;
  StateWriter writer;
  writer.begin(text, origin, "2026-11-20T08:15:30Z");
  for (const auto& [key, good] : good_texts) writer.good_text(text, key, good);
  for (const auto& [key, object] : objects) writer.object(text, key, object);
  writer.end(text);
  return text;
}

Written some_objects(std::uint64_t seed, int count) {
  random::Objects objects(seed);
  Written result;
  for (int i = 0; i < count; ++i) result.push_back(objects.next());
  return result;
}

std::string refusal(std::string_view text, const StateOrigin& whose = origin) {
  const auto state = parse_saved_state(text, whose, Wanted::all);
  return state ? "" : state.error().message;
}

TEST_CASE("what is written of an object is read back as it was", "[objects][saved-state][law]") {
  random::Objects objects(1);
  for (int i = 0; i < 5000; ++i) {
    const auto [key, object] = objects.next();
    std::string text;
    append_json(text, key, object);
    INFO(text);
    CHECK(text.find('\n') == std::string::npos);
    const auto parsed = parse_object(key.kind, nlohmann::json::parse(text));
    REQUIRE(parsed);
    CHECK(parsed->key == key);
    REQUIRE(parsed->object == object);
  }
}

TEST_CASE("a saved state comes back whole", "[objects][saved-state]") {
  const auto objects = some_objects(2, 200);
  const std::map<std::string, std::string> good_texts = {{"10.0.0.50", "default/web"}, {"web", "services:\n- {}\n"}};
  const auto text = saved(objects, good_texts);
  const auto state = parse_saved_state(text, origin, Wanted::all);
  REQUIRE(state);
  CHECK(state->saved_at == "2026-11-20T08:15:30Z");
  CHECK(state->good_texts == good_texts);
  REQUIRE(state->objects.size() == objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    CHECK(state->objects[i].key == objects[i].first);
    CHECK(*state->objects[i].object == objects[i].second);
  }
  const auto texts = parse_saved_state(text, origin, Wanted::good_texts);
  REQUIRE(texts);
  CHECK(texts->good_texts == good_texts);
  CHECK(texts->objects.empty());
}

TEST_CASE("nothing saved is a state, too", "[objects][saved-state]") {
  const auto state = parse_saved_state(saved({}), origin, Wanted::all);
  REQUIRE(state);
  CHECK(state->objects.empty());
}

TEST_CASE("a saved state that is cut at any byte is refused", "[objects][saved-state]") {
  const auto text = saved(some_objects(3, 12), {{"10.0.0.50", "default/web"}});
  for (std::size_t length = 0; length < text.size(); ++length) {
    INFO("cut after " << length << " of " << text.size());
    const auto why = refusal(std::string_view(text).substr(0, length));
    REQUIRE_FALSE(why.empty());
    CHECK(why.find('\n') == std::string::npos);
  }
}

TEST_CASE("a saved state of which any byte is another is refused", "[objects][saved-state]") {
  const auto text = saved(some_objects(4, 8), {{"10.0.0.50", "default/web"}});
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char bit : {'\x01', '\x20', '\x80'}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ bit);
      // The count of lines is for people; the checksum's digits may be capitals only to those who can read them.
      if (!parse_saved_state(changed, origin, Wanted::all)) continue;
      INFO("byte " << at << ": " << changed.substr(text.rfind('{')));
      REQUIRE(at > text.rfind('{'));
    }
  }
}

TEST_CASE("a line that is lost, doubled or moved is found", "[objects][saved-state]") {
  const auto text = saved(some_objects(5, 5));
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  const auto joined = [](const std::vector<std::string>& parts) {
    std::string all;
    for (const auto& part : parts) all += part;
    return all;
  };
  REQUIRE(refusal(joined(lines)).empty());
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    auto lost = lines;
    lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK_FALSE(refusal(joined(lost)).empty());
    auto doubled = lines;
    doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    CHECK_FALSE(refusal(joined(doubled)).empty());
    auto moved = lines;
    std::swap(moved[i], moved[i + 1]);
    if (lines[i] != lines[i + 1]) CHECK_FALSE(refusal(joined(moved)).empty());
  }
  CHECK_FALSE(refusal(text + text).empty());
  CHECK_FALSE(refusal(text + "\n").empty());
}

TEST_CASE("a state of another origin is refused and says which", "[objects][saved-state]") {
  const auto text = saved(some_objects(6, 3));
  struct Row {
    StateOrigin origin;
    const char* why;
  };
  auto config_map = origin;
  config_map.config_map = "kube-system/vips";
  auto name_space = origin;
  name_space.watch_namespace = "web";
  auto node = origin;
  node.node = "node2";
  auto server = origin;
  server.server = "https://192.0.2.1:6443";
  const Row rows[] = {
      {config_map, "it is of another ConfigMap: default/vips, not kube-system/vips"},
      {name_space, "it is of another --watch-namespace: none, not web"},
      {node, "it is of another node: node1, not node2"},
      {server, "it is of another API server: https://10.96.0.1:443, not https://192.0.2.1:6443"},
  };
  for (const auto& row : rows) CHECK(refusal(text, row.origin) == row.why);
}

TEST_CASE("foreign files and other versions are told apart", "[objects][saved-state]") {
  struct Row {
    const char* text;
    const char* why;
  };
  const Row rows[] = {
      {"", "it is not vipkeeper's"},
      {"\n", "it is not vipkeeper's"},
      {"hello\n", "it is not vipkeeper's"},
      {"{}\n{}\n", "it is not vipkeeper's"},
      {"[]\n", "it is not vipkeeper's"},
      {R"({"claim":"address"})"
       "\n",
       "it is not vipkeeper's"},
      {R"({"format":"vipkeeper objects","version":2})"
       "\n",
       "it is of format version 2, this program's is 1"},
      {R"({"format":"vipkeeper objects"})"
       "\n",
       "it is of format version none, this program's is 1"},
      {R"({"format":"vipkeeper objects","version":1})"
       "\n",
       "it is damaged: cut short or changed"},
      {R"({"format":"vipkeeper objects","version":1})"
       "\n{}\n",
       "it is damaged: cut short or changed"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(refusal(row.text) == row.why);
  }
}

}  // namespace
}  // namespace vipkeeper::objects
