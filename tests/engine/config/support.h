#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/configuration.h"

namespace vipkeeper::config {

// A fragment at the head of the file "test.conf".
inline std::shared_ptr<const Fragment> fragment(std::string id, std::string text, std::uint32_t first_line = 1) {
  return std::make_shared<const Fragment>(Fragment{std::move(id), "test.conf", first_line, std::move(text)});
}

inline FragmentChange change_of(const std::map<std::string, std::string>& texts) {
  FragmentChange change;
  for (const auto& [id, text] : texts) change[id] = fragment(id, text);
  return change;
}

// "FILE:LINE:COLUMN: severity: message" of each, for messages of failed tests.
inline std::vector<std::string> lines_of(const std::vector<Problem>& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems) lines.push_back(problem.to_string());
  return lines;
}

inline std::vector<Problem> problems_in(std::string_view file, std::string_view text) {
  return check_text(file, text).problems;
}

// What the text means; the test fails if it has an error.
ConfigDelta parse_good(std::string_view text);
// The only instance, virtual server or script of a text.
VrrpInstance only_instance(std::string_view text);
VirtualServer only_server(std::string_view text);
VrrpScript only_script(std::string_view text);

std::string read_seed(const std::string& name);
std::string read_text(const std::string& path);

}  // namespace vipkeeper::config
