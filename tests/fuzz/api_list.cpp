// Bodies of lists: whatever the bytes and however they were cut, the same is told; nothing is told of what is no list,
// nothing is ever told as gone by a first one, and the reflector always knows what to do next. The first byte chooses
// how the answer is cut.

#include <cstdint>
#include <string_view>

#include "tests/fuzz/server_answers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vipkeeper::kube;
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  Talk whole(false, size);
  Talk cut(false, data[0] % 32U + 1U);
  for (Talk* talk : {&whole, &cut}) {
    talk->answer(200, body);
    demand(talk->last().request || talk->last().wait);
    demand(talk->reflector().synced() || talk->told().empty());
    for (const auto& one : talk->told()) demand(!one.starts_with('-'));
  }
  demand(whole.told() == cut.told() && whole.reflector().synced() == cut.reflector().synced());
  demand(target_of(whole.last()) == target_of(cut.last()));
  demand(whole.reflector().problems() == cut.reflector().problems());
  return 0;
}
