#include "engine/run/script_command.h"

#include <optional>

namespace vipkeeper::run {
namespace {

constexpr std::string_view blanks = " \t\r\n";

// What a shell would do more with than take it as a part of a word.
bool is_special(char c) { return std::string_view("|&;<>()$`*?[]{}~!#").find(c) != std::string_view::npos; }

// nullopt: a shell is needed.
std::optional<std::vector<std::string>> split_plain(std::string_view command) {
  std::vector<std::string> words;
  bool in_word = false;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (blanks.find(c) != std::string_view::npos) {
      if (c == '\n') return std::nullopt;
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '\\' && i + 1 < command.size()) {
      words.back() += command[++i];
    } else if (c == '\'' || c == '"') {
      const std::size_t end = command.find(c, i + 1);
      if (end == std::string_view::npos) return std::nullopt;
      const auto quoted = command.substr(i + 1, end - i - 1);
      if (c == '"' && quoted.find_first_of("$`\\") != std::string_view::npos) return std::nullopt;
      words.back() += quoted;
      i = end;
    } else if (is_special(c) || (c == '=' && words.size() == 1)) {
      return std::nullopt;
    } else {
      words.back() += c;
    }
  }
  return words;
}

}  // namespace

std::vector<std::string> build_arguments(std::string_view command, const std::vector<std::string>& arguments) {
  if (command.find_first_not_of(blanks) == std::string_view::npos) return {};
  auto words = split_plain(command);
  if (!words) {
    // The name after the text is the shell's $0; "$@" hands the arguments on unharmed.
    const std::string text(command);
    words = std::vector<std::string>{"/bin/sh", "-c", arguments.empty() ? text : text + " \"$@\"", "sh"};
  }
  words->insert(words->end(), arguments.begin(), arguments.end());
  return *words;
}

}  // namespace vipkeeper::run
