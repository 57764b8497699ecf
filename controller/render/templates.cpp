#include "controller/render/templates.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <kainjow/mustache.hpp>
#include <string_view>

#include "controller/render/built_in.h"
#include "controller/render/filling.h"
#include "controller/render/values.h"

namespace vipkeeper::render {

namespace {

namespace mustache = kainjow::mustache;
using Component = mustache::component<std::string>;

// The names that have a value in a template, and the lists among them with the names that their elements add.
struct Schema {
  std::vector<std::string_view> names;
  std::map<std::string_view, std::vector<std::string_view>> lists;
};

const std::map<std::string, Schema>& schemas() {
  static const std::map<std::string, Schema> all = {
      {"globals.mustache", {}},
      {"vrrp_instance.mustache",
       {{"name", "interface", "vrid", "priority", "advert_int", "notify", "unicast", "source", "has_excluded"},
        {{"peers", {"address"}},
         {"addresses", {"address", "device", "untracked"}},
         {"excluded_addresses", {"address", "device", "untracked"}}}}},
      {"virtual_server.mustache",
       {{"service", "address", "port", "protocol", "scheduler", "method", "masquerade", "persistence", "interval",
         "timeout", "retries", "retry_delay"},
        {{"real_servers", {"address", "port", "weight", "on_this_node", "tcp_check", "check_port"}}}}},
  };
  return all;
}

// "LINE:COLUMN" of an offset.
std::string position(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, std::min(offset, text.size()));
  const auto line = std::ranges::count(before, '\n') + 1;
  const auto last = before.rfind('\n');
  const auto column = last == std::string_view::npos ? before.size() + 1 : before.size() - last;
  return fmt::format("{}:{}", line, column);
}

// The library ends its messages with "at OFFSET".
std::string with_position(std::string_view text, const std::string& message) {
  const auto at = message.rfind(" at ");
  std::size_t offset = 0;
  if (at != std::string::npos) std::from_chars(message.data() + at + 4, message.data() + message.size(), offset);
  return position(text, offset) + ": " + message.substr(0, at);
}

// Goes through the tags of one template with the names that are known at each.
class NameCheck {
 public:
  NameCheck(std::string_view text, const Schema& schema) : text_(text), schema_(schema), known_(schema.names) {}

  // What is wrong with the first tag that is; empty: nothing.
  std::string check(const std::vector<Component>& components) {
    for (const auto& component : components) {
      auto wrong = check_tag(component);
      if (!wrong.empty()) return wrong;
    }
    return {};
  }

 private:
  std::string check_tag(const Component& component) {
    const auto& name = component.tag.name;
    switch (component.tag.type) {
      case mustache::tag_type::variable:
      case mustache::tag_type::unescaped_variable:
        return is_known(name) ? "" : unknown(component);
      case mustache::tag_type::section_begin:
      case mustache::tag_type::section_begin_inverted:
        return check_section(component);
      case mustache::tag_type::partial:
        return fmt::format("{}: partials ({{{{>{}}}}}) are not available", position(text_, component.position), name);
      default:
        return {};
    }
  }

  std::string check_section(const Component& component) {
    const auto list = schema_.lists.find(component.tag.name);
    if (list == schema_.lists.end()) {
      return is_known(component.tag.name) ? check(component.children) : unknown(component);
    }
    const bool elements = component.tag.type == mustache::tag_type::section_begin;
    const auto outer = known_;
    if (elements) known_.insert(known_.end(), list->second.begin(), list->second.end());
    auto wrong = check(component.children);
    known_ = outer;
    return wrong;
  }

  bool is_known(std::string_view name) const { return std::ranges::find(known_, name) != known_.end(); }

  std::string unknown(const Component& component) const {
    std::string names;
    for (const auto name : known_) names.append(names.empty() ? "" : ", ").append(name);
    for (const auto& [name, inner] : schema_.lists) names.append(names.empty() ? "" : ", ").append(name);
    return fmt::format("{}: no value is named \"{}\" here; there {}", position(text_, component.position),
                       component.tag.name, names.empty() ? "are none" : "are: " + names);
  }

  std::string_view text_;
  const Schema& schema_;
  std::vector<std::string_view> known_;
};

// What is wrong with the template; empty: nothing.
std::string check_template(const std::string& text, const Schema& schema) try {
  mustache::context<std::string> context;
  mustache::context_internal<std::string> internal(context);
  Component root;
  std::string error;
  const mustache::parser<std::string> parser(text, internal, root, error);
  if (!error.empty()) return with_position(text, error);
  return NameCheck(text, schema).check(root.children);
} catch (const std::exception& problem) {
  return fmt::format("1:1: cannot be read: {}", problem.what());
}

// A line that holds nothing but one tag of a section or a comment disappears (the mustache spec's "standalone" lines).
// kainjow 4.1 knows that only for sections that are rendered, and leaves a blank line for the others.
std::string without_standalone_lines(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  std::string result;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end == std::string_view::npos ? end : end + 1);
    text.remove_prefix(line.size());
    const auto first = line.find_first_not_of(blanks);
    const auto tag = first == std::string_view::npos ? std::string_view()
                                                     : line.substr(first, line.find_last_not_of(blanks) - first + 1);
    const bool standalone = tag.size() > 4 && tag.starts_with("{{") && tag.find("}}") == tag.size() - 2 &&
                            std::string_view("#^/!").find(tag[2]) != std::string_view::npos;
    result += standalone ? tag : line;
  }
  return result;
}

}  // namespace

struct Templates::Parsed {
  std::map<std::string, std::vector<Part>> by_name;
};

const std::vector<std::string>& template_names() {
  static const std::vector<std::string> names = {"globals.mustache", "virtual_server.mustache",
                                                 "vrrp_instance.mustache"};
  return names;
}

Templates::Templates(std::unique_ptr<Parsed> parsed) : parsed_(std::move(parsed)) {}
Templates::Templates(Templates&&) noexcept = default;
Templates& Templates::operator=(Templates&&) noexcept = default;
Templates::~Templates() = default;

Templates Templates::built_in() {
  // A fault in them is our own bug: a test of this folder reads them, and .value() ends the program.
  return std::move(from_texts({}).value());
}

Result<Templates> Templates::from_texts(const TemplateTexts& texts) {
  TemplateTexts all = {{"globals.mustache", std::string(built_in_globals)},
                       {"vrrp_instance.mustache", std::string(built_in_vrrp_instance)},
                       {"virtual_server.mustache", std::string(built_in_virtual_server)}};
  for (const auto& [name, text] : texts) {
    if (!all.contains(name)) {
      return failure(ErrorCode::invalid_input, fmt::format("template {}: there is no such template; there are {}", name,
                                                           fmt::join(template_names(), ", ")));
    }
    all[name] = text;
  }
  auto parsed = std::make_unique<Parsed>();
  for (const auto& [name, text] : all) {
    const auto wrong = check_template(text, schemas().at(name));
    if (!wrong.empty()) return failure(ErrorCode::invalid_input, fmt::format("template {}:{}", name, wrong));
    parsed->by_name.emplace(name, parse_template(without_standalone_lines(text)).parts);
  }
  return Templates(std::move(parsed));
}

std::string Templates::render(const std::string& name, const Values& values) const {
  return fill_in(parsed_->by_name.at(name), values);
}

}  // namespace vipkeeper::render
