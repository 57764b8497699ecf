#include "engine/run/scripts/script_identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "engine/base/unique_fd.h"

namespace vipkeeper::run {
namespace {

// linux/capability.h, which capget(2) has no function of the C library for.
constexpr unsigned cap_setgid = 6, cap_setuid = 7;
constexpr std::uint32_t capability_version_3 = 0x20080522;
struct CapabilityHeader {
  std::uint32_t version = capability_version_3;
  int thread = 0;  // this one
};
struct CapabilitySets {
  std::uint32_t effective = 0, permitted = 0, inheritable = 0;
};
// A user with more groups than the kernel lets a process have cannot be.
constexpr int most_groups = 65536;

// The first 32.
std::uint32_t effective_capabilities() {
  CapabilityHeader header;
  std::array<CapabilitySets, 2> sets;
  return ::syscall(SYS_capget, &header, sets.data()) == 0 ? sets[0].effective : 0;
}

// What is missing to become `identity`; empty: nothing.
std::string missing_capabilities(const ScriptIdentity& identity) {
  const auto effective = effective_capabilities();
  const bool groups = (effective >> cap_setgid & 1U) != 0;
  const bool user = (effective >> cap_setuid & 1U) != 0 || identity.user == ::geteuid();
  if (groups && user) return "";
  return groups ? "SETUID" : user ? "SETGID" : "SETUID and SETGID";
}

// `error`: what looking it up returned; some hosts say by one that it is not there, and 0 does not say that the file
// could be opened.
std::unexpected<Error> not_found(std::string_view what, const std::string& name, int error) {
  const UniqueFd probe(::open("/", O_PATH | O_CLOEXEC));
  if (!probe) error = errno;
  if (probe && (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM))
    return failure(ErrorCode::not_found, fmt::format("{} '{}' does not exist on this host", what, name));
  return failure(ErrorCode::unavailable, fmt::format("looking up {} '{}': {}", what, name, std::strerror(error)));
}

// An entry lists a group's members and so may be long.
template <class Entry, class Find>
int look_up(Find find, const std::string& name, Entry& entry, Entry*& found) {
  std::vector<char> buffer(4096);
  int error = 0;
  while ((error = find(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < (1U << 20U))
    buffer.resize(2 * buffer.size());
  return error;
}

std::vector<gid_t> groups_of(const std::string& user, gid_t group) {
  int count = 32;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(user.c_str(), group, groups.data(), &count) < 0) {
    if (count > most_groups || count <= static_cast<int>(groups.size())) return {group};
    groups.resize(static_cast<std::size_t>(count));
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

}  // namespace

Result<ScriptIdentity> find_identity(const std::string& text) {
  ScriptIdentity identity{::geteuid(), ::getegid(), {}, true};
  if (text.empty()) return identity;
  const auto space = text.find(' ');
  const std::string user = text.substr(0, space);
  passwd entry{};
  passwd* found = nullptr;
  if (const int error = look_up(::getpwnam_r, user, entry, found); found == nullptr)
    return not_found("user", user, error);
  gid_t group = entry.pw_gid;
  if (space != std::string::npos) {
    const std::string name = text.substr(space + 1);
    ::group named{};
    ::group* found_group = nullptr;
    if (const int error = look_up(::getgrnam_r, name, named, found_group); found_group == nullptr)
      return not_found("group", name, error);
    group = named.gr_gid;
  }
  if (entry.pw_uid == identity.user && group == identity.group) return identity;
  return ScriptIdentity{entry.pw_uid, group, groups_of(user, group), false};
}

Result<void> check_may_become(const ScriptIdentity& identity, const std::string& text) {
  if (identity.is_ours) return {};
  const std::string missing = missing_capabilities(identity);
  if (missing.empty()) return {};
  return failure(ErrorCode::permission,
                 fmt::format("cannot run as '{}': vipkeeper lacks the capability {} for that; give it, or name no user",
                             text, missing));
}

}  // namespace vipkeeper::run
