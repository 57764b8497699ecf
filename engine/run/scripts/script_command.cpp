#include "engine/run/scripts/script_command.h"

#include <algorithm>
#include <array>
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

// After these of a shell's words a command follows, as at the beginning.
bool leads_to_command(std::string_view word) {
  constexpr std::array<std::string_view, 13> leaders{"if",   "then", "else", "elif", "while", "until",  "do",
                                                     "exec", "!",    "time", "{",    "eval",  "command"};
  return std::ranges::find(leaders, word) != leaders.end() || word.find('=') != std::string_view::npos;
}

}  // namespace

std::vector<std::string> programs_of(std::string_view command) {
  const auto plain = split_plain(command);
  if (plain) return plain->empty() ? std::vector<std::string>{} : std::vector{plain->front()};
  std::vector<std::string> programs;
  std::string word;
  bool at_command = true;
  const auto end_word = [&] {
    if (word.empty()) return;
    if (at_command && !leads_to_command(word)) {
      programs.push_back(word);
      at_command = false;
    }
    word.clear();
  };
  for (const char c : command) {
    if (c == '"' || c == '\'' || c == '\\') continue;
    const bool separates = std::string_view("\n;|&()`").find(c) != std::string_view::npos;
    const bool redirects = c == '<' || c == '>';
    if (!separates && !redirects && blanks.find(c) == std::string_view::npos) {
      word += c;
      continue;
    }
    end_word();
    if (separates) at_command = true;
    if (redirects) at_command = false;
  }
  end_word();
  return programs;
}

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
