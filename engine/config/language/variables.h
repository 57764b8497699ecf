#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace vipkeeper::config {

// `$NAME=VALUE` definitions, each on a line of its own, and their use as `$NAME` or `${NAME}` below that, in any word.
// A name has letters, digits and '_'; a value is the rest of the line without a comment and the blanks around it, and
// may use what is defined above. A second definition replaces the first from there on. Unknown names stay as they are.
class Variables {
 public:
  // `text` with the values in place of the names and empty lines in place of the definitions: the same lines, though
  // columns behind a value are those of the result. nullopt: there was nothing to replace. What is defined stays known
  // for the next text. Names stay where the result would be larger than several times the text.
  std::optional<std::string> expand(std::string_view text);

 private:
  bool define(std::string_view line);
  [[nodiscard]] std::string expand_line(std::string_view line, std::size_t longest) const;

  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace vipkeeper::config
