// Entries of the ConfigMap: whatever their text, parse_entry says what it means or what is wrong with it, on one line.
// What stands before the first newline is the key, the rest is the value.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "controller/plan/entry.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vipkeeper;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return 0;
  const auto entry = plan::parse_entry(text.substr(0, end), text.substr(end + 1));
  if (entry) {
    if (entry->addresses.empty()) std::abort();
    for (const auto& service : entry->services) {
      if (service.name_space.empty() || service.name.empty()) std::abort();
    }
    return 0;
  }
  for (const char c : entry.error().message) {
    if (static_cast<unsigned char>(c) < 0x20) std::abort();
  }
  return 0;
}
