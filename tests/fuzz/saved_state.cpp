// objects.json: whatever it holds, it is read whole or refused in one line; what was read is written and read back as
// the same. A last line that fits is added, so that the search gets past the checksum.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <boost/crc.hpp>

#include "controller/objects/saved_state.h"

namespace {

using namespace vipkeeper::objects;

const StateOrigin origin = {.config_map = "default/vips", .watch_namespace = "", .node = "n", .server = "s"};

void check(std::string_view text) {
  const auto state = parse_saved_state(text, origin, Wanted::all);
  (void)parse_saved_state(text, origin, Wanted::good_texts);
  if (!state) {
    for (const char c : state.error().message) {
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
    return;
  }
  std::string again;
  StateWriter writer;
  writer.begin(again, origin, state->saved_at);
  for (const auto& [key, good] : state->good_texts) writer.good_text(again, key, good);
  for (const auto& change : state->objects) writer.object(again, change.key, *change.object);
  writer.end(again);
  const auto back = parse_saved_state(again, origin, Wanted::all);
  if (!back || back->good_texts != state->good_texts || back->objects.size() != state->objects.size()) std::abort();
  for (std::size_t i = 0; i < back->objects.size(); ++i) {
    if (back->objects[i].key != state->objects[i].key || *back->objects[i].object != *state->objects[i].object)
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  check(text);
  std::string whole =
      R"({"format":"vipkeeper objects","version":1,"savedAt":"t","configMap":"default/vips","watchNamespace":"","node":"n","server":"s"})"
      "\n" +
      text;
  if (!whole.ends_with('\n')) whole += '\n';
  boost::crc_32_type checksum;
  checksum.process_bytes(whole.data(), whole.size());
  check(whole + fmt::format("{{\"lines\":1,\"crc32\":\"{:08x}\"}}\n", checksum.checksum()));
  return 0;
}
