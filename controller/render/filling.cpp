// Templates are parsed by the library and filled in here.
//
// The library's own rendering takes every blank for a component, and every line through a stream and a function object:
// with thousands of addresses in the one block of a vrrp_instance that was most of the way from an entry to the engine.
// Here adjacent text is one part, and a value is appended where it is wanted. A test has both render the same
// templates.

#include "controller/render/filling.h"

#include <kainjow/mustache.hpp>
#include <string_view>

namespace vipkeeper::render {

namespace {

namespace mustache = kainjow::mustache;
using Component = mustache::component<std::string>;

std::vector<Part> parts_of(const std::vector<Component>& components) {
  std::vector<Part> parts;
  for (const auto& component : components) {
    switch (component.tag.type) {
      case mustache::tag_type::text:
        if (component.is_newline()) {
          parts.push_back({Part::Type::line_end, component.text, {}});
        } else if (!parts.empty() && parts.back().type == Part::Type::text) {
          parts.back().text += component.text;
        } else {
          parts.push_back({Part::Type::text, component.text, {}});
        }
        break;
      case mustache::tag_type::variable:
      case mustache::tag_type::unescaped_variable:
        parts.push_back({Part::Type::value, component.tag.name, {}});
        break;
      case mustache::tag_type::section_begin:
        parts.push_back({Part::Type::section, component.tag.name, parts_of(component.children)});
        break;
      case mustache::tag_type::section_begin_inverted:
        parts.push_back({Part::Type::inverted_section, component.tag.name, parts_of(component.children)});
        break;
      default:  // comments, ends of sections, other delimiters: nothing to show
        break;
    }
  }
  return parts;
}

class Filler {
 public:
  explicit Filler(const Values& values) : scopes_{&values} {}

  std::string run(const std::vector<Part>& parts) && {
    fill(parts);
    end_line({});
    return std::move(text_);
  }

 private:
  void fill(const std::vector<Part>& parts) {
    for (const auto& part : parts) {
      if (part.type == Part::Type::text) {
        text_ += part.text;
      } else if (part.type == Part::Type::line_end) {
        end_line(part.text);
      } else {
        fill_named(part, find(part.text));
      }
    }
  }

  void fill_named(const Part& part, const Values::Value* value) {
    const bool holds = value != nullptr && value->holds();
    if (part.type == Part::Type::value) {
      if (value != nullptr) text_ += value->text;
    } else if (holds == (part.type == Part::Type::section)) {
      if (!holds || value->list.empty()) return fill_section(part.parts);
      for (const auto& element : value->list) {
        scopes_.push_back(&element);
        fill_section(part.parts);
        scopes_.pop_back();
      }
    }
  }

  // A line on which a section begins or ends is gone if nothing else is on it.
  void fill_section(const std::vector<Part>& parts) {
    has_tag_ = true;
    fill(parts);
    has_tag_ = true;
  }

  void end_line(std::string_view end) {
    const auto line = std::string_view(text_).substr(line_begins_);
    if (has_tag_ && line.find_first_not_of(" \t") == std::string_view::npos) {
      text_.resize(line_begins_);
    } else {
      text_ += end;
    }
    line_begins_ = text_.size();
    has_tag_ = false;
  }

  [[nodiscard]] const Values::Value* find(std::string_view name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      if (const auto* value = (*scope)->find(name); value != nullptr) return value;
    }
    return nullptr;
  }

  std::vector<const Values*> scopes_;
  std::string text_;
  std::size_t line_begins_ = 0;
  bool has_tag_ = false;
};

}  // namespace

ParsedTemplate parse_template(const std::string& text) {
  mustache::context<std::string> context;
  mustache::context_internal<std::string> internal(context);
  Component root;
  ParsedTemplate result;
  const mustache::parser<std::string> parser(text, internal, root, result.error);
  if (result.error.empty()) result.parts = parts_of(root.children);
  return result;
}

std::string fill_in(const std::vector<Part>& parts, const Values& values) { return Filler(values).run(parts); }

}  // namespace vipkeeper::render
