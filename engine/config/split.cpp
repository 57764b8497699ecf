#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

#include "engine/config/blocks.h"
#include "engine/config/configuration.h"
#include "engine/config/language/statement.h"
#include "engine/config/language/variables.h"

namespace vipkeeper::config {
namespace {

// The blocks of one address and port are different services for TCP and UDP.
std::string protocol_of(const Statement& block) {
  std::string protocol = "udp";
  for (const Statement& statement : block.children) {
    if (statement.keyword() == "protocol" && statement.words.size() > 1) protocol = statement.words[1].text;
  }
  std::ranges::transform(protocol, protocol.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return protocol;
}

std::string joined(const Statement& statement, std::size_t first) {
  std::string result;
  for (std::size_t i = first; i < statement.words.size(); ++i) {
    if (!result.empty()) result += ' ';
    result += statement.words[i].text;
  }
  return result;
}

std::string id_of(const Statement& block) {
  const std::string_view keyword = block.keyword();
  if (keyword == "global_defs") return "0/globals";
  if (keyword == "vrrp_script") return "1/script/" + joined(block, 1);
  if (keyword == "vrrp_instance") return "1/vrrp/" + joined(block, 1);
  if (keyword == "virtual_server") return fmt::format("2/vs/{} {}", protocol_of(block), joined(block, 1));
  return "9/other/" + joined(block, 0);
}

// Walks forward through a text, knowing line and column (as the lexer counts them).
class Ruler {
 public:
  Ruler(std::string_view text, Position at) : text_(text), at_(at) {}

  void advance_to(std::size_t offset) {
    for (; offset_ < offset; ++offset_) {
      const auto byte = static_cast<unsigned char>(text_[offset_]);
      if (byte == '\n') {
        ++at_.line;
        at_.column = 1;
      } else if (offset_ + 1 >= text_.size() || (static_cast<unsigned char>(text_[offset_ + 1]) & 0xc0U) != 0x80U) {
        ++at_.column;
      }
    }
  }
  [[nodiscard]] Position at() const { return at_; }

 private:
  std::string_view text_;
  std::size_t offset_ = 0;
  Position at_;
};

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// The texts between the ends of two blocks, so that nothing is lost: comments, and what could not be understood.
class Splitter {
 public:
  explicit Splitter(const FragmentChange& previous) : previous_(previous) {}

  void split(const SourceText& source) {
    const auto expanded = variables_.expand(source.text);
    const std::string_view text = expanded ? std::string_view(*expanded) : source.text;
    Ruler ruler(text, {source.first_line, source.first_column});
    Findings findings;  // apply() finds them again, fragment by fragment
    const auto blocks = parse_statements(text, findings);
    const auto add = [&](const std::string& name, std::size_t begin, std::size_t end) {
      add_fragment(name, source.file, text, begin, end, ruler);
    };
    std::size_t begin = 0;
    for (std::size_t i = 0; i < blocks.size();) {
      std::size_t next = i + 1;
      // What an instance lost by a '}' too many tells on it.
      if (blocks[i].keyword() == "vrrp_instance") {
        while (next < blocks.size() && belongs_in_instance(blocks[next].keyword())) ++next;
      }
      // The text behind the last block belongs to it, if it is more than blanks.
      const std::size_t end = next < blocks.size() ? blocks[next - 1].end : text.size();
      add(id_of(blocks[i]), begin, end);
      begin = end;
      i = next;
    }
    if (blocks.empty()) add("9/other/", 0, text.size());
  }

  FragmentChange take() {
    for (const auto& [id, fragment] : previous_) {
      if (fragment) result_.try_emplace(id, nullptr);
    }
    return std::move(result_);
  }

 private:
  void add_fragment(const std::string& name, const std::string& file, std::string_view text, std::size_t begin,
                    std::size_t end, Ruler& ruler) {
    while (begin < end && is_blank(text[begin])) ++begin;
    while (end > begin && is_blank(text[end - 1])) --end;
    if (begin == end) return;
    std::string id = name;
    const unsigned count = ++used_[name];
    if (count > 1) id = fmt::format("{}#{:04}", name, count);
    ruler.advance_to(begin);
    Fragment fragment{id, file, ruler.at().line, std::string(text.substr(begin, end - begin)), ruler.at().column};
    const auto old = previous_.find(id);
    const bool unchanged = old != previous_.end() && old->second && *old->second == fragment;
    result_[id] = unchanged ? old->second : std::make_shared<const Fragment>(std::move(fragment));
  }

  const FragmentChange& previous_;
  Variables variables_;
  std::map<std::string, unsigned> used_;
  FragmentChange result_;
};

}  // namespace

FragmentChange split(const std::vector<SourceText>& sources, const FragmentChange& previous) {
  Splitter splitter(previous);
  for (const SourceText& source : sources) splitter.split(source);
  return splitter.take();
}

FragmentChange split(std::string_view file, std::string_view text, const FragmentChange& previous) {
  return split({{std::string(file), std::string(text)}}, previous);
}

}  // namespace vipkeeper::config
