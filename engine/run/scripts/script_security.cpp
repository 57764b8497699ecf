#include "engine/run/scripts/script_security.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <map>
#include <memory>

#include "engine/run/scripts/script_command.h"
#include "engine/run/scripts/script_identity.h"
#include "engine/run/scripts/script_process.h"

namespace vipkeeper::run {
namespace {

// As many as the kernel follows.
constexpr unsigned most_links = 40;

// To the front of `rest`, in their order.
void push_parts(std::deque<std::string>& rest, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  rest.insert(rest.begin(), parts.begin(), parts.end());
}

std::optional<std::string> what_is_unsafe(const std::string& path, const struct stat& status) {
  if (status.st_uid != 0) return fmt::format("{} belongs to user {}", path, status.st_uid);
  // A link's mode means nothing, and in a sticky directory only a file's owner may replace it.
  if (S_ISLNK(status.st_mode) || (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0)) return std::nullopt;
  if ((status.st_mode & S_IWOTH) != 0)
    return fmt::format("{} may be written by everyone (mode {:04o})", path, status.st_mode & 07777U);
  if ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0)
    return fmt::format("{} may be written by group {} (mode {:04o})", path, status.st_gid, status.st_mode & 07777U);
  return std::nullopt;
}

std::string working_directory() {
  std::array<char, 4096> buffer{};
  return ::getcwd(buffer.data(), buffer.size()) != nullptr ? buffer.data() : "/";
}

// keepalived takes these for root's as well, whoever starts them.
bool becomes_root(const std::string& program) {
  struct stat status{};
  if (::stat(program.c_str(), &status) != 0) return false;
  return (status.st_uid == 0 && (status.st_mode & S_ISUID) != 0) ||
         (status.st_gid == 0 && (status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0);
}

Result<void> check_safe(std::string_view command, bool is_root) {
  for (const std::string& name : programs_of(command)) {
    const auto program = find_program(name);
    if (!program || (!is_root && !becomes_root(*program))) continue;
    if (const auto part = find_replaceable_part(*program))
      return failure(ErrorCode::permission,
                     fmt::format("'{}' is not run: {}, and with enable_script_security root runs only what nobody else "
                                 "can replace; chown it to root and chmod go-w, or give the script another user",
                                 *program, *part));
  }
  return {};
}

}  // namespace

std::optional<std::string> find_replaceable_part(const std::string& path) {
  std::deque<std::string> rest;
  push_parts(rest, path.starts_with('/') ? path : working_directory() + "/" + path);
  rest.emplace_front("/");
  std::string at;  // without the slash at its end
  for (unsigned links = 0; !rest.empty();) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      at.erase(at.empty() ? 0 : at.rfind('/'));
      continue;
    }
    std::string next = at + "/";
    if (part != "/") next += part;
    struct stat status{};
    if (::lstat(next.c_str(), &status) != 0) return std::nullopt;
    if (auto unsafe = what_is_unsafe(next, status)) return unsafe;
    if (S_ISLNK(status.st_mode)) {
      std::array<char, 4096> target{};
      const ssize_t length = ::readlink(next.c_str(), target.data(), target.size());
      if (length <= 0 || ++links > most_links) return std::nullopt;
      const std::string_view text(target.data(), static_cast<std::size_t>(length));
      if (text.starts_with('/')) at.clear();
      push_parts(rest, text);
    } else if (part != "/") {
      at = next;
    }
  }
  return std::nullopt;
}

Result<void> check_may_run(std::string_view command, const std::string& user, bool only_safe) {
  const auto identity = find_identity(user);
  if (!identity) return std::unexpected(identity.error());
  if (only_safe) {
    if (auto safe = check_safe(command, identity->is_root()); !safe) return safe;
  }
  return check_may_become(*identity, user);
}

std::vector<status::Problem> leave_out_refused_scripts(VrrpConfig& config) {
  std::vector<status::Problem> problems;
  const auto is_refused = [&](const std::string& command, const std::string& user, const std::string& name) {
    const auto allowed = check_may_run(command, user, config.globals.enable_script_security);
    if (allowed || allowed.error().code != ErrorCode::permission) return false;
    problems.push_back({true, name, allowed.error().message});
    return true;
  };
  std::map<std::string, bool> refused;  // of the scripts that are tracked
  for (const auto& instance : config.instances)
    for (const auto& tracked : instance->track_scripts) refused[tracked.script] = false;
  for (const auto& script : config.scripts) {
    const auto place = refused.find(script->name);
    if (place == refused.end()) continue;
    place->second = is_refused(script->command, script->user.empty() ? config.globals.script_user : script->user,
                               "vrrp_script " + script->name);
  }
  for (auto& instance : config.instances) {
    config::VrrpInstance left = *instance;
    std::erase_if(left.track_scripts, [&](const auto& tracked) { return refused[tracked.script]; });
    for (std::string* command :
         {&left.notify.any, &left.notify.master, &left.notify.backup, &left.notify.fault, &left.notify.stop}) {
      if (!command->empty() && is_refused(*command, config.globals.script_user, "notify script of " + instance->name))
        command->clear();
    }
    if (left != *instance) instance = std::make_shared<const config::VrrpInstance>(std::move(left));
  }
  return problems;
}

}  // namespace vipkeeper::run
