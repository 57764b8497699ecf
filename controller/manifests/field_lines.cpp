#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <optional>
#include <span>
#include <spanstream>
#include <string>
#include <vector>

#include "controller/manifests/document.h"

namespace vipkeeper::manifests {

namespace {

// Follows the path through a document and remembers the lines of all fields.
class LineHandler final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override { frames_.clear(); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { value(mark, frames_.empty()); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { value(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string& text) override {
    if (!frames_.empty() && frames_.back().is_map && !frames_.back().key) {
      frames_.back().key = text;
      note(mark);
    } else {
      value(mark);
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    start(mark, false);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    start(mark, true);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapEnd() override { end(); }

  // Nothing but comments, or null: parse_yaml leaves such a document out.
  [[nodiscard]] bool is_empty() const { return !has_content_; }
  // The line of the longest prefix of `field` that exists.
  [[nodiscard]] std::size_t line(std::string_view field) const {
    while (true) {
      const auto found = lines_.find(std::string(field));
      if (found != lines_.end()) return found->second;
      const std::size_t cut = field.find_last_of(".[");
      if (field.empty()) return 1;
      field = cut == std::string_view::npos ? std::string_view() : field.substr(0, cut);
    }
  }

 private:
  struct Frame {
    bool is_map;
    std::string path;
    std::optional<std::string> key;
    std::size_t index = 0;
  };

  [[nodiscard]] std::string here() const {
    if (frames_.empty()) return {};
    const Frame& frame = frames_.back();
    if (!frame.is_map) return fmt::format("{}[{}]", frame.path, frame.index);
    return frame.path.empty() ? frame.key.value_or("") : frame.path + "." + frame.key.value_or("");
  }
  void note(const YAML::Mark& mark) { lines_.emplace(here(), static_cast<std::size_t>(mark.line) + 1); }
  void next() {
    if (frames_.empty()) return;
    frames_.back().key.reset();
    ++frames_.back().index;
  }
  void value(const YAML::Mark& mark, bool empty = false) {
    has_content_ = has_content_ || !empty;
    note(mark);
    next();
  }
  void start(const YAML::Mark& mark, bool is_map) {
    has_content_ = true;
    note(mark);
    frames_.push_back(Frame{is_map, here(), {}, 0});
  }
  void end() {
    frames_.pop_back();
    next();
  }

  std::vector<Frame> frames_;
  bool has_content_ = false;
  std::map<std::string, std::size_t> lines_;
};

}  // namespace

std::size_t locate_field(std::string_view text, std::size_t document, std::string_view field) {
  try {
    std::ispanstream stream(std::span<const char>(text.data(), text.size()));
    YAML::Parser parser(stream);
    for (std::size_t index = 0;;) {
      LineHandler lines;
      if (!parser.HandleNextDocument(lines)) return 1;
      if (lines.is_empty()) continue;
      if (index++ == document) return lines.line(field);
    }
  } catch (const YAML::Exception&) {
    return 1;
  }
}

}  // namespace vipkeeper::manifests
