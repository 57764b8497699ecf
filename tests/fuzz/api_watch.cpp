// Watch streams cut at any byte: whatever the bytes, the same is told and asked however they were cut, nothing is told
// as gone that was not told before, and the watch goes on or the reflector says what next. The first byte chooses how
// the stream is cut, and whether it is a list that is streamed or the watch after a list in pages.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "tests/fuzz/server_answers.h"

namespace {

constexpr std::string_view list =
    R"({"kind":"EndpointSliceList","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a","namespace":"n",)"
    R"("uid":"1","resourceVersion":"5"},"addressType":"IPv4","endpoints":[{"addresses":["10.2.0.5"]}]}]})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vipkeeper::kube;
  if (size == 0) return 0;
  const bool streamed = (data[0] & 0x80) != 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  Talk whole(streamed, size);
  Talk cut(streamed, data[0] % 32U + 1U);
  for (Talk* talk : {&whole, &cut}) {
    if (!streamed) talk->answer(200, list);
    talk->answer(200, stream);
    demand(talk->last().request || talk->last().wait);
    demand(talk->reflector().synced() || talk->told().empty());
    std::set<std::string> there;
    for (const auto& one : talk->told()) {
      if (one.starts_with('-')) {
        there.erase(one.substr(1));
      } else {
        there.insert(one);
      }
    }
    Counters counters;
    talk->reflector().count(counters);
    demand(there.size() <= counters["objects.endpointslices"]);
  }
  demand(whole.told() == cut.told());
  demand(target_of(whole.last()) == target_of(cut.last()));
  demand(whole.last().wait.has_value() == cut.last().wait.has_value());
  demand(whole.reflector().problems() == cut.reflector().problems());
  return 0;
}
