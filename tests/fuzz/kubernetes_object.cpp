// Objects as the API server or a manifest gives them: whatever the JSON, each kind's reader gives an object whose
// fields are within their ranges, or one line that says what is wrong.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "controller/objects/json.h"

namespace {

using namespace vipkeeper;

void demand(bool holds) {
  if (!holds) std::abort();
}

void demand_one_line(const std::string& text) {
  demand(!text.empty() && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
}

void demand_slice(const objects::EndpointSlice& slice) {
  for (const auto& endpoint : slice.endpoints) demand(endpoint.address.family() == slice.family);
  for (const auto& port : slice.ports) demand(port.port != std::uint16_t{0});
}

void demand_object(const objects::Object& object) {
  if (const auto* service = std::get_if<objects::Service>(&object)) {
    for (const auto& port : service->ports) demand(port.port != 0);
    for (const auto& [name, value] : service->annotations) demand(!name.starts_with("vipkeeper.io/"));
  } else if (const auto* slice = std::get_if<objects::EndpointSlice>(&object)) {
    demand_slice(*slice);
  } else if (const auto* endpoints = std::get_if<objects::Endpoints>(&object)) {
    for (const auto& subset : endpoints->subsets) demand_slice(subset);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto json = nlohmann::json::parse(data, data + size, nullptr, false);
  if (json.is_discarded()) return 0;
  const auto said = objects::parse_object(json);
  if (!said) demand_one_line(said.error().message);
  using objects::Kind;
  for (const Kind kind :
       {Kind::config_map, Kind::service, Kind::endpoint_slice, Kind::endpoints, Kind::node, Kind::pod}) {
    const auto parsed = objects::parse_object(kind, json);
    if (!parsed) {
      demand_one_line(parsed.error().message);
      continue;
    }
    demand(!parsed->key.name.empty() && parsed->key.name_space.empty() == (kind == Kind::node));
    demand_object(parsed->object);
    if (said && *said && (*said)->key.kind == kind) demand((*said)->object == parsed->object);
  }
  return 0;
}
