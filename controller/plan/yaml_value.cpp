#include "controller/plan/yaml_value.h"

#include <fmt/format.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>
#include <yaml-cpp/yaml.h>

#include <exception>
#include <optional>
#include <set>
#include <span>
#include <spanstream>

#include "controller/plan/user_text.h"

namespace vipkeeper::plan {

namespace {

constexpr std::size_t longest_text = 65'536;
// Aliases may name other aliases ("billion laughs"), and a list itself.
constexpr std::size_t most_values = 10'000;
constexpr std::size_t deepest = 16;

std::string at(const YAML::Mark& mark, std::string_view message) {
  return mark.is_null() ? std::string(message) : fmt::format("line {}: {}", mark.line + 1, message);
}

// The library's nodes -> our values; the first fault ends it.
class Copy {
 public:
  YamlValue value(const YAML::Node& node, std::size_t depth) {
    YamlValue result;
    if (failure_) return result;
    if (++count_ > most_values || depth > deepest) {
      failure_ =
          at(node.Mark(), fmt::format("more than {} values, or more than {} inside each other", most_values, deepest));
      beyond_ = true;
      return result;
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        result.type = YamlValue::Type::scalar;
        result.text = node.Scalar();
        break;
      case YAML::NodeType::Sequence:
        result.type = YamlValue::Type::list;
        for (const auto& element : node) result.elements.push_back(value(element, depth + 1));
        break;
      case YAML::NodeType::Map:
        result.type = YamlValue::Type::mapping;
        add_members(node, depth, result);
        break;
      default:
        break;
    }
    return result;
  }

  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }
  // The failure is that there is too much.
  [[nodiscard]] bool beyond() const { return beyond_; }

 private:
  void add_members(const YAML::Node& mapping, std::size_t depth, YamlValue& into) {
    std::set<std::string> seen;
    for (const auto& member : mapping) {
      const auto& key = member.first;
      if (failure_) return;
      if (!key.IsScalar()) {
        failure_ = at(key.Mark(), "a key that is no plain word");
      } else if (!seen.insert(key.Scalar()).second) {
        failure_ = at(key.Mark(), fmt::format("the key {} comes twice", quoted(key.Scalar())));
      } else {
        into.members.push_back({key.Scalar(), value(member.second, depth + 1)});
      }
    }
  }

  std::size_t count_ = 0;
  std::optional<std::string> failure_;
  bool beyond_ = false;
};

// Hears nothing.
class Deaf final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Two steps and no more: yaml-cpp 0.7 leaves a token that cannot start a document where it is, and gives empty
// documents for ever. (Its LoadAll does not return then.)
bool has_several_documents(std::string_view text) {
  std::ispanstream stream(std::span<const char>(text.data(), text.size()));
  YAML::Parser parser(stream);
  Deaf deaf;
  return parser.HandleNextDocument(deaf) && parser.HandleNextDocument(deaf);
}

}  // namespace

std::string_view describe(YamlValue::Type type) {
  switch (type) {
    case YamlValue::Type::null:
      return "nothing";
    case YamlValue::Type::scalar:
      return "a single value";
    case YamlValue::Type::list:
      return "a list";
    case YamlValue::Type::mapping:
      return "a mapping";
  }
  return "?";
}

Result<YamlValue> parse_yaml(std::string_view text) try {
  const auto bad = [](std::string message) { return failure(ErrorCode::invalid_input, std::move(message)); };
  if (text.size() > longest_text)
    return failure(ErrorCode::unsupported, fmt::format("more than {} bytes", longest_text));
  if (has_several_documents(text)) return bad("several documents (---): one is enough");
  Copy copy;
  auto value = copy.value(YAML::Load(std::string(text)), 0);
  if (copy.failure())
    return failure(copy.beyond() ? ErrorCode::unsupported : ErrorCode::invalid_input, *copy.failure());
  return value;
} catch (const YAML::DeepRecursion& problem) {
  return failure(ErrorCode::unsupported,
                 at(problem.mark, fmt::format("more than {} values inside each other", deepest)));
} catch (const YAML::Exception& problem) {
  return failure(ErrorCode::invalid_input, at(problem.mark, one_line(problem.msg)));
} catch (const std::exception& problem) {
  return failure(ErrorCode::invalid_input, one_line(problem.what()));
}

}  // namespace vipkeeper::plan
