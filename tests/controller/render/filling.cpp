#include "controller/render/filling.h"

#include <catch2/catch.hpp>
#include <kainjow/mustache.hpp>
#include <random>

namespace vipkeeper::render {
namespace {

using Data = kainjow::mustache::data;

std::string by_the_library(const std::string& text, const Data& data) {
  kainjow::mustache::mustache whole(text);
  whole.set_custom_escape([](const std::string& value) { return value; });
  return whole.render(data);
}

// A template of every kind of tag, as a user may write it, balanced; and values for it in both forms.
class Trial {
 public:
  explicit Trial(std::uint64_t seed) : random_(seed) {
    for (const char* name : {"a", "b"}) set(values_, data_, name);
    std::vector<Values> elements;
    Data list{Data::type::list};
    for (unsigned i = below(4); i > 0; --i) {
      Values element;
      Data same{Data::type::object};
      for (const char* name : {"a", "x"}) set(element, same, name);
      elements.push_back(std::move(element));
      list.push_back(std::move(same));
    }
    values_.list("l", std::move(elements));
    data_.set("l", std::move(list));
    write(3);
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const Values& values() const { return values_; }
  [[nodiscard]] const Data& data() const { return data_; }

 private:
  unsigned below(unsigned end) { return std::uniform_int_distribution<unsigned>(0, end - 1)(random_); }
  std::string pick(std::initializer_list<const char*> choices) {
    return *(choices.begin() + below(static_cast<unsigned>(choices.size())));
  }

  void set(Values& values, Data& data, const char* name) {
    const unsigned kind = below(4);
    if (kind == 0) return;
    if (kind == 1) {
      const bool on = below(2) == 0;
      values.flag(name, on);
      data.set(name, Data(on));
    } else {
      const auto text = pick({"one", "t&<o", "{{a}}"});
      values.text(name, text);
      data.set(name, text);
    }
  }

  void write(unsigned depth) {
    for (unsigned i = below(7); i > 0; --i) {
      const auto name = pick({"a", "b", "x", "l", "none"});
      switch (below(9)) {
        case 0:
        case 1:
          text_ += pick({"\n", "\r\n", "\n\n"});
          break;
        case 2:
        case 3:
          text_ += pick({" ", "\t", "word", "  two words ", "{ ", "}"});
          break;
        case 4:
          text_ += "{{" + name + "}}";
          break;
        case 5:
          text_ += pick({"{{{a}}}", "{{& b}}", "{{! a comment }}"});
          break;
        default:
          if (depth == 0) break;
          text_ += pick({"{{#", "{{^"}) + name + "}}";
          write(depth - 1);
          text_ += "{{/" + name + "}}";
      }
    }
  }

  std::mt19937_64 random_;
  std::string text_;
  Values values_;
  Data data_{Data::type::object};
};

TEST_CASE("a template is filled in as the library renders it", "[render][templates][law]") {
  unsigned with_content = 0;
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    const Trial trial(seed);
    const auto parsed = parse_template(trial.text());
    INFO("seed " << seed << " [" << trial.text() << "]");
    REQUIRE(parsed.error.empty());
    const auto filled = fill_in(parsed.parts, trial.values());
    if (!filled.empty()) ++with_content;
    REQUIRE(filled == by_the_library(trial.text(), trial.data()));
  }
  CHECK(with_content > 10'000);
}

}  // namespace
}  // namespace vipkeeper::render
