#include "engine/run/services/programming_counters.h"

#include <fmt/format.h>

namespace vipkeeper::run {

void ProgrammingCounters::add_to(status::Counters& counters) const {
  constexpr std::array kinds{"service_add",     "service_set",     "service_delete",
                             "destination_add", "destination_set", "destination_delete"};
  for (std::size_t i = 0; i < kinds.size(); ++i)
    counters[fmt::format("kernel_operations{{kind=\"{}\"}}", kinds[i])] = operations[i];
  constexpr std::array results{"connected", "refused", "timed_out", "local_error"};
  for (std::size_t i = 0; i < results.size(); ++i)
    counters[fmt::format("checks{{result=\"{}\"}}", results[i])] = checks[i];
  counters["kernel_errors"] = kernel_errors;
  counters["table_reads"] = table_reads;
  counters["table_audits"] = table_audits;
  counters["service_reads"] = service_reads;
}

}  // namespace vipkeeper::run
