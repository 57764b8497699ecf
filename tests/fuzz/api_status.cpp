// Bodies of error answers: whatever they hold, what is said of them is one line of bounded length, and a list, a stream
// and a watch that got them go on in some way. The first two bytes are the HTTP status.

#include <cstdint>
#include <string_view>

#include "controller/kube/status.h"
#include "tests/fuzz/server_answers.h"

namespace {

constexpr std::string_view list = R"({"kind":"List","metadata":{"resourceVersion":"9"},"items":[]})";

void demand_one_line(std::string_view text) {
  for (const char c : text) vipkeeper::kube::demand(static_cast<unsigned char>(c) >= 0x20);
  vipkeeper::kube::demand(text.size() < 1000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vipkeeper::kube;
  if (size < 2) return 0;
  const int status = 201 + (data[0] * 256 + data[1]) % 400;
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  demand_one_line(parse_status(body).message);
  demand_one_line(describe_status(status, body));
  for (const bool streamed : {false, true}) {
    Talk talk(streamed, 1 + data[0] % 16U);
    talk.answer(status, body);
    demand(talk.last().request || talk.last().wait);
    for (const auto& problem : talk.reflector().problems()) demand_one_line(problem.message);
  }
  Talk talk(false, size);
  talk.answer(200, list);
  talk.answer(status, body);
  demand(talk.last().request || talk.last().wait);
  demand(talk.reflector().synced() && talk.told().empty());
  return 0;
}
