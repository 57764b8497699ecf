#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace vipkeeper::render {

// The text of each template by its file name: "globals.mustache", "vrrp_instance.mustache", "virtual_server.mustache".
using TemplateTexts = std::map<std::string, std::string>;

// The file names that --templates DIR may hold.
const std::vector<std::string>& template_names();

// What a template is filled with: values, switches and lists by name.
class Values;

// The three templates that the text is made of, checked: they parse, and every name in them is one that will have a
// value.
class Templates {
 public:
  // The program's own.
  static Templates built_in();
  // The program's own, with those in `texts` in the place of theirs. An error names the file, the line and the name or
  // section that is wrong; a file name that is none of template_names() is one.
  static Result<Templates> from_texts(const TemplateTexts& texts);

  Templates(Templates&&) noexcept;
  Templates& operator=(Templates&&) noexcept;
  ~Templates();

  // The template of that file name, filled in.
  [[nodiscard]] std::string render(const std::string& name, const Values& values) const;

 private:
  struct Parsed;
  explicit Templates(std::unique_ptr<Parsed> parsed);
  std::unique_ptr<Parsed> parsed_;
};

}  // namespace vipkeeper::render
