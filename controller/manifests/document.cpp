#include "controller/manifests/document.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <span>
#include <spanstream>
#include <utility>

#include "controller/manifests/value_builder.h"

namespace vipkeeper::manifests {

using nlohmann::json;

namespace {

// Aliases may name other aliases ("billion laughs"); no manifest needs this many copied values.
constexpr std::size_t max_aliased_values = 100'000;

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<json> parse_integer(std::string_view text) {
  int base = 10;
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.size() == text.size() && digits.starts_with("0x")) base = 16;
  if (digits.size() == text.size() && digits.starts_with("0o")) base = 8;
  if (base != 10) {
    digits.remove_prefix(2);
  } else if (!is_digits(digits)) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (!negative) return json(value);
  if (value > std::uint64_t{1} << 63U) return std::nullopt;
  return json(static_cast<std::int64_t>(~value + 1));
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?   (YAML 1.2.2, 10.3.2)
std::optional<json> parse_float(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  const std::size_t e = rest.find_first_of("eE");
  std::string_view mantissa = rest.substr(0, e);
  if (e != std::string_view::npos) {
    std::string_view exponent = rest.substr(e + 1);
    if (exponent.starts_with('-') || exponent.starts_with('+')) exponent.remove_prefix(1);
    if (!is_digits(exponent)) return std::nullopt;
  }
  const std::size_t dot = mantissa.find('.');
  const std::string_view whole = mantissa.substr(0, dot);
  const std::string_view fraction = dot == std::string_view::npos ? std::string_view() : mantissa.substr(dot + 1);
  if (!whole.empty() && !is_digits(whole)) return std::nullopt;
  if (!fraction.empty() && !is_digits(fraction)) return std::nullopt;
  if (whole.empty() && fraction.empty()) return std::nullopt;
  std::string_view number = text;
  if (number.starts_with('+')) number.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  return json(value);
}

json plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char first = text.front();
  if ((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.') {
    if (auto number = parse_integer(text)) return *std::move(number);
    if (auto number = parse_float(text)) return *std::move(number);
  }
  return text;
}

std::size_t count_values(const json& value) {
  std::size_t count = 1;
  if (value.is_structured()) {
    for (const json& child : value) count += count_values(child);
  }
  return count;
}

// yaml-cpp's events to one JSON value a document.
class DocumentHandler final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    here_ = mark;
    // yaml-cpp 0.7 leaves a token that cannot start a value where it is, and gives empty documents for ever.
    if (mark.pos == document_start_) throw BuildError("a comma or bracket that belongs to no list or mapping");
    document_start_ = mark.pos;
    builder_ = ValueBuilder();
    anchors_.clear();
    line_ = 0;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    at(mark);
    if (builder_.wants_key()) throw BuildError("an empty key");
    scalar(nullptr, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    at(mark);
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw BuildError("an alias inside the value it stands for");
    if (builder_.wants_key()) throw BuildError("an alias as a key");
    aliased_ += count_values(found->second);
    if (aliased_ > max_aliased_values) throw BuildError("its aliases stand for too many values");
    builder_.add(found->second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    at(mark);
    last_scalar_ = static_cast<std::size_t>(mark.pos);
    if (builder_.wants_key()) {
      builder_.key(text, tag == "?" && text == "<<");
      return;
    }
    // yaml-cpp: "?" is a plain scalar without a tag, "!" a quoted or block one.
    const bool plain = tag == "?" || tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:bool" ||
                       tag == "tag:yaml.org,2002:float" || tag == "tag:yaml.org,2002:null";
    scalar(plain ? plain_scalar(text) : json(text), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    start(mark, anchor, json::value_t::array);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    start(mark, anchor, json::value_t::object);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapEnd() override { end(); }

  [[nodiscard]] const YAML::Mark& here() const { return here_; }
  // Where the last scalar so far starts.
  [[nodiscard]] std::size_t last_scalar() const { return last_scalar_; }
  // Empty for an empty document.
  std::optional<Document> take() {
    if (builder_.empty()) return std::nullopt;
    Document document{builder_.take(), line_};
    if (document.value.is_null()) return std::nullopt;
    return document;
  }

 private:
  void at(const YAML::Mark& mark) {
    here_ = mark;
    if (line_ == 0) line_ = static_cast<std::size_t>(mark.line) + 1;
  }
  void scalar(json value, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = value;
    builder_.add(std::move(value));
  }
  void start(const YAML::Mark& mark, YAML::anchor_t anchor, json::value_t type) {
    at(mark);
    if (builder_.wants_key()) throw BuildError("a mapping or list as a key");
    builder_.start(type);
    open_anchors_.push_back(anchor);
  }
  void end() {
    const json& value = builder_.end();
    if (open_anchors_.back() != YAML::NullAnchor) anchors_[open_anchors_.back()] = value;
    open_anchors_.pop_back();
  }

  ValueBuilder builder_;
  std::map<YAML::anchor_t, json> anchors_;
  std::vector<YAML::anchor_t> open_anchors_;
  std::size_t aliased_ = 0;
  std::size_t line_ = 0;
  std::size_t last_scalar_ = std::string::npos;
  int document_start_ = -1;
  YAML::Mark here_;
};

// nlohmann's SAX events to one JSON value; it exists for the check on keys that come twice, which nlohmann's own tree
// lacks.
class JsonHandler final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override {
    builder_.start(json::value_t::object);
    return true;
  }
  bool key(string_t& name) override {
    builder_.key(std::move(name));
    return true;
  }
  bool end_object() override {
    builder_.end();
    return true;
  }
  bool start_array(std::size_t) override {
    builder_.start(json::value_t::array);
    return true;
  }
  bool end_array() override {
    builder_.end();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    position_ = position;
    message_ = error.what();
    return false;
  }

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  json take() { return builder_.take(); }

 private:
  bool add(json value) {
    builder_.add(std::move(value));
    return true;
  }

  ValueBuilder builder_;
  std::size_t position_ = 0;
  std::string message_;
};

// yaml-cpp 0.7 takes the end of the text after a line break for the end of a quoted scalar, so that a file cut in the
// middle would pass. `position`: where the text's last scalar starts; all before it were followed by something and so
// were closed.
bool is_unclosed(std::string_view text, std::size_t position) {
  if (position >= text.size() || (text[position] != '"' && text[position] != '\'')) return false;
  const char quote = text[position];
  for (std::size_t i = position + 1; i < text.size(); ++i) {
    if (text[i] == quote) {
      const bool escaped = quote == '\'' && i + 1 < text.size() && text[i + 1] == quote;
      if (!escaped) return false;
      ++i;
    }
    if (quote == '"' && text[i] == '\\') ++i;
  }
  return true;
}

std::size_t line_of(std::string_view text, std::size_t position) {
  return 1 + static_cast<std::size_t>(std::ranges::count(text.substr(0, position), '\n'));
}

// "[json.exception.parse_error.101] parse error at line 3, column 4: syntax error while ..." -> "syntax error while
// ..."
std::string bare_message(const std::string& what) {
  const std::size_t at = what.find("parse error at ");
  const std::size_t colon = at == std::string::npos ? at : what.find(": ", at);
  return colon == std::string::npos ? what : what.substr(colon + 2);
}

}  // namespace

Documents parse_yaml(std::string_view text) {
  std::vector<Document> documents;
  DocumentHandler handler;
  try {
    std::ispanstream stream(std::span<const char>(text.data(), text.size()));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) {
      if (auto document = handler.take()) documents.push_back(*std::move(document));
    }
  } catch (const YAML::Exception& error) {
    const auto line = static_cast<std::size_t>(std::max(error.mark.line, 0)) + 1;
    return std::unexpected(SyntaxError{line, error.msg});
  } catch (const BuildError& error) {
    return std::unexpected(SyntaxError{static_cast<std::size_t>(handler.here().line) + 1, error.what()});
  }
  if (is_unclosed(text, handler.last_scalar())) {
    return std::unexpected(SyntaxError{line_of(text, handler.last_scalar()), "a quoted text has no end"});
  }
  return documents;
}

Documents parse_json(std::string_view text) {
  JsonHandler handler;
  try {
    if (!json::sax_parse(text, &handler)) {
      return std::unexpected(SyntaxError{line_of(text, handler.position()), bare_message(handler.message())});
    }
  } catch (const BuildError& error) {
    // nlohmann's events carry no position; JSON read as YAML trips over the same key, with its line.
    const Documents same = parse_yaml(text);
    return std::unexpected(same ? SyntaxError{1, error.what()} : same.error());
  }
  std::vector<Document> documents;
  documents.push_back(Document{handler.take(), 1});
  return documents;
}

}  // namespace vipkeeper::manifests
