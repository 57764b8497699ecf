#include "engine/config/language/finding.h"

#include <fmt/format.h>

namespace vipkeeper::config {

Location locate(const Fragment& fragment, Position at) {
  const std::uint32_t column = at.line == 1 ? at.column + fragment.first_column - 1 : at.column;
  return {fragment.file, at.line + fragment.first_line - 1, column};
}

Problem locate(const Fragment& fragment, const Finding& finding) {
  Problem problem{finding.severity, locate(fragment, finding.at), finding.message};
  const auto mark = problem.message.find(other_line);
  if (finding.other && mark != std::string::npos) {
    problem.message.replace(mark, 1, std::to_string(locate(fragment, *finding.other).line));
  }
  return problem;
}

std::string Problem::to_string() const {
  return fmt::format("{}:{}:{}: {}: {}", where.file, where.line, where.column,
                     severity == Severity::error ? "error" : "warning", message);
}

}  // namespace vipkeeper::config
