// Files of --manifests: whatever their text, parse_manifest returns; what it could not read it says with a line of the
// text, and of each object it gives one, in order. The first byte chooses YAML or JSON.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "controller/manifests/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vipkeeper;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto manifest = manifests::parse_manifest(text, data[0] == 'j');
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (const auto& problem : manifest.problems) {
    if (problem.line < 1 || problem.line > lines || problem.message.empty()) std::abort();
  }
  if (manifest.unreadable && (!manifest.objects.empty() || manifest.problems.empty())) std::abort();
  for (std::size_t i = 1; i < manifest.objects.size(); ++i) {
    if (!(manifest.objects[i - 1].key < manifest.objects[i].key)) std::abort();
  }
  return 0;
}
