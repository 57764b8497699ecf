#include "engine/config/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "engine/config/declared.h"
#include "engine/config/resolve_vrrp.h"

// keepalived.conf as a language: text -> tokens (lexer) -> statements -> declared values, fragment by fragment
// (parse_fragment); then, here, the values of all fragments together.
//
// What is kept. Each fragment's text with what it declares. Of the virtual_servers, which stand for themselves, an
// index by key that says which fragment has it. Of the VRRP side, which hangs together (globals change every instance,
// an instance names scripts), the resolved values; it is resolved again as a whole whenever one of its fragments
// changes, because there are few, while virtual_servers are many and change every second.
//
// An apply() is staged first: parse what is new, look for what clashes, resolve. Only without an error is it swapped
// in; until then the object is const, which is what makes "all or nothing" true. Places in the text stay relative to
// their fragment until a problem is shown, so that a fragment that moved in its file need not be parsed again.
//
// What an error is: keepalived could not have used it. What it corrects or skips harmlessly is a warning and resolved
// the way keepalived does it, so that a text means the same here and there.
namespace vipkeeper::config {
namespace {

void sort_by_place(std::vector<Problem>& problems) {
  std::ranges::stable_sort(problems, [](const Problem& a, const Problem& b) {
    return std::tie(a.where.file, a.where.line, a.where.column) < std::tie(b.where.file, b.where.line, b.where.column);
  });
}

// The values of `now`, with the old pointer where a value is equal to the old one at its name.
template <class T>
std::vector<std::shared_ptr<const T>> shared_values(std::vector<T> now,
                                                    const std::vector<std::shared_ptr<const T>>& before) {
  std::map<std::string_view, std::shared_ptr<const T>> old;
  for (const auto& value : before) old.emplace(value->name, value);
  std::vector<std::shared_ptr<const T>> result;
  for (T& value : now) {
    const auto same = old.find(value.name);
    const bool keep = same != old.end() && *same->second == value;
    result.push_back(keep ? same->second : std::make_shared<const T>(std::move(value)));
  }
  return result;
}

}  // namespace

struct Configuration::Staged {
  struct Change {
    Entry entry;  // empty: the fragment is removed
    const Entry* old = nullptr;
    bool moved_only = false;  // same text elsewhere in the file
  };
  std::map<std::string, Change> changes;
  std::map<VirtualServerKey, OwnedServer> servers;  // of the changed fragments
  std::optional<VrrpSide> vrrp;                     // resolved again
  std::vector<Problem> problems;
  std::uint32_t fragments_parsed = 0;
};

Configuration::Configuration() = default;
Configuration::~Configuration() = default;
Configuration::Configuration(Configuration&&) noexcept = default;
Configuration& Configuration::operator=(Configuration&&) noexcept = default;

std::expected<ApplyResult, std::vector<Problem>> Configuration::apply(const FragmentChange& change) {
  Staged staged;
  parse(change, staged);
  validate_servers(staged);
  validate_vrrp(staged);
  sort_by_place(staged.problems);
  const bool has_errors =
      std::ranges::any_of(staged.problems, [](const Problem& p) { return p.severity == Severity::error; });
  if (has_errors) return std::unexpected(std::move(staged.problems));
  return commit(staged);
}

void Configuration::parse(const FragmentChange& change, Staged& staged) const {
  for (const auto& [id, fragment] : change) {
    const auto found = fragments_.find(id);
    const Entry* old = found == fragments_.end() ? nullptr : &found->second;
    if (!fragment) {
      if (old != nullptr) staged.changes[id] = {{}, old, false};
      continue;
    }
    if (old != nullptr && (old->fragment == fragment || *old->fragment == *fragment)) continue;
    if (old != nullptr && old->fragment->text == fragment->text) {
      staged.changes[id] = {{fragment, old->parsed}, old, true};
      continue;
    }
    auto parsed = std::make_shared<const ParsedFragment>(parse_fragment(fragment->text));
    ++staged.fragments_parsed;
    for (const Finding& finding : parsed->findings) staged.problems.push_back(locate(*fragment, finding));
    staged.changes[id] = {{fragment, std::move(parsed)}, old, false};
  }
}

void Configuration::validate_servers(Staged& staged) const {
  const auto place_of = [&](const OwnedServer& owned) {
    const auto change = staged.changes.find(owned.fragment_id);
    const Entry& entry = change != staged.changes.end() ? change->second.entry : fragments_.at(owned.fragment_id);
    return locate(*entry.fragment, entry.parsed->servers[owned.index].at);
  };
  const auto report_twice = [&](const OwnedServer& first, const OwnedServer& second) {
    const Location where = place_of(first);
    staged.problems.push_back(
        {Severity::error, place_of(second),
         fmt::format("virtual_server {} is defined twice, first in {}:{}:{}: remove one, or give them different "
                     "ports or protocols",
                     second.server->key.to_string(), where.file, where.line, where.column)});
  };
  for (const auto& [id, change] : staged.changes) {
    if (change.moved_only || !change.entry.parsed) continue;
    const auto& servers = change.entry.parsed->servers;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      OwnedServer owned{id, i, servers[i].server};
      const auto [first, is_new] = staged.servers.try_emplace(owned.server->key, owned);
      if (!is_new) {
        report_twice(first->second, owned);
        continue;
      }
      const auto held = servers_.find(owned.server->key);
      if (held == servers_.end()) continue;
      const auto holder = staged.changes.find(held->second.fragment_id);
      if (holder == staged.changes.end() || holder->second.moved_only) report_twice(held->second, owned);
    }
  }
}

void Configuration::validate_vrrp(Staged& staged) const {
  std::set<std::string> ids = vrrp_fragments_;
  bool touched = false;
  for (const auto& [id, change] : staged.changes) {
    const bool had = change.old != nullptr && change.old->parsed->has_vrrp();
    const bool has = change.entry.parsed && change.entry.parsed->has_vrrp();
    if ((had || has)) touched = true;
    if (has) {
      ids.insert(id);
    } else {
      ids.erase(id);
    }
  }
  if (!touched) return;
  std::vector<VrrpSource> sources;
  for (const std::string& id : ids) {
    const auto change = staged.changes.find(id);
    const Entry& entry = change != staged.changes.end() ? change->second.entry : fragments_.at(id);
    sources.push_back({entry.fragment.get(), entry.parsed.get()});
  }
  staged.vrrp = resolve_vrrp(sources);
  staged.problems.insert(staged.problems.end(), staged.vrrp->problems.begin(), staged.vrrp->problems.end());
}

ApplyResult Configuration::commit(Staged& staged) {
  ApplyResult result;
  result.fragments_parsed = staged.fragments_parsed;
  for (const auto& [id, change] : staged.changes) {
    if (change.moved_only || change.old == nullptr) continue;
    for (const DeclaredServer& declared : change.old->parsed->servers) {
      const VirtualServerKey& key = declared.server->key;
      if (!staged.servers.contains(key)) {
        result.delta.virtual_servers[key] = nullptr;
        servers_.erase(key);
      }
    }
  }
  for (auto& [key, owned] : staged.servers) {
    OwnedServer& held = servers_[key];
    if (held.server && *held.server == *owned.server) {
      owned.server = held.server;
    } else {
      result.delta.virtual_servers[key] = owned.server;
    }
    held = std::move(owned);
  }
  if (staged.vrrp) {
    auto instances = shared_values(std::move(staged.vrrp->instances), instances_);
    auto scripts = shared_values(std::move(staged.vrrp->scripts), scripts_);
    result.delta.vrrp_changed = staged.vrrp->globals != globals_ || instances != instances_ || scripts != scripts_;
    globals_ = std::move(staged.vrrp->globals);
    instances_ = std::move(instances);
    scripts_ = std::move(scripts);
    vrrp_warnings_ = std::move(staged.vrrp->problems);
    if (result.delta.vrrp_changed) {
      result.delta.globals = globals_;
      result.delta.instances = instances_;
      result.delta.scripts = scripts_;
    }
  }
  result.warnings = std::move(staged.problems);
  for (auto& [id, change] : staged.changes) {
    if (!change.entry.fragment) {
      fragments_.erase(id);
      vrrp_fragments_.erase(id);
      continue;
    }
    if (change.entry.parsed->has_vrrp()) {
      vrrp_fragments_.insert(id);
    } else {
      vrrp_fragments_.erase(id);
    }
    fragments_[id] = std::move(change.entry);
  }
  return result;
}

std::shared_ptr<const VirtualServer> Configuration::virtual_server(const VirtualServerKey& key) const {
  const auto found = servers_.find(key);
  return found == servers_.end() ? nullptr : found->second.server;
}

std::vector<Problem> Configuration::warnings() const {
  std::vector<Problem> result = vrrp_warnings_;
  for (const auto& [id, entry] : fragments_) {
    for (const Finding& finding : entry.parsed->findings) result.push_back(locate(*entry.fragment, finding));
  }
  sort_by_place(result);
  return result;
}

std::vector<Problem> check_text(std::string_view file, std::string_view text) {
  Configuration configuration;
  auto result = configuration.apply(split(file, text, {}));
  return result ? std::move(result->warnings) : std::move(result.error());
}

}  // namespace vipkeeper::config
