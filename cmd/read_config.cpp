#include "cmd/read_config.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "cmd/read_file.h"
#include "engine/config/language/include.h"

namespace vipkeeper::cmd {

namespace {

constexpr std::size_t deepest = 16;
constexpr std::size_t most_files = 10'000;

// Sorted, without folders.
std::vector<std::string> matches(const std::string& pattern) {
  std::vector<std::string> result;
  ::glob_t found{};
  if (::glob(pattern.c_str(), GLOB_BRACE | GLOB_MARK, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) {
      const std::string_view path = found.gl_pathv[i];
      if (!path.ends_with('/')) result.emplace_back(path);
    }
  }
  ::globfree(&found);
  return result;
}

class Reader {
 public:
  Result<ConfigText> read(const std::string& path) {
    auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    take(path, std::move(*text));
    return std::move(result_);
  }

 private:
  void take(const std::string& path, std::string text) {
    open_.push_back(path);
    config::SourceText piece{path, "", 1, 1};
    std::size_t begin = 0;
    for (const config::Include& include : config::find_includes(text)) {
      const config::Location where{path, include.at.line, include.at.column};
      const auto files = files_of(include, where);
      if (!files.empty() && !include.top_level) continue;  // the parser says that it cannot be followed there
      if (!include.top_level) {
        std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(include.begin), include.end - include.begin, ' ');
        continue;
      }
      piece.text = text.substr(begin, include.begin - begin);
      result_.sources.push_back(piece);
      for (const std::string& file : files) follow(file, where);
      begin = include.end;
      piece.first_line = include.at.line;
      piece.first_column = include.at.column + static_cast<std::uint32_t>(include.end - include.begin);
    }
    piece.text = text.substr(begin);
    result_.sources.push_back(std::move(piece));
    open_.pop_back();
  }

  std::vector<std::string> files_of(const config::Include& include, const config::Location& where) {
    const auto folder = std::filesystem::path(where.file).parent_path();
    auto files = include.pattern.empty() ? std::vector<std::string>{} : matches((folder / include.pattern).string());
    if (files.empty()) {
      result_.problems.push_back(
          {include.must_match ? config::Severity::error : config::Severity::warning, where,
           fmt::format("'include {}' finds no file, ignored: write the path of one, or remove it", include.pattern)});
    }
    return files;
  }

  void follow(const std::string& file, const config::Location& where) {
    const auto complain = [&](std::string_view cause) {
      result_.problems.push_back({config::Severity::error, where, fmt::format("'{}' is left out: {}", file, cause)});
    };
    const auto is_file = [&](const std::string& open) {
      std::error_code ignored;  // not there: not the same
      return std::filesystem::equivalent(open, file, ignored);
    };
    if (std::ranges::any_of(open_, is_file)) return complain("it includes itself, remove one of the includes");
    if (open_.size() >= deepest || ++files_ > most_files)
      return complain(fmt::format("files may include others {} deep, {} in all", deepest, most_files));
    auto text = read_file(file);
    if (!text) return complain(text.error().message);
    take(file, std::move(*text));
  }

  ConfigText result_;
  std::vector<std::string> open_;  // the files that are being read, outermost first
  std::size_t files_ = 0;
};

}  // namespace

Result<ConfigText> read_config(const std::string& path) { return Reader().read(path); }

}  // namespace vipkeeper::cmd
