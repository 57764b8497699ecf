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
// An apply() is staged first: parse what is new, look for what clashes, resolve. Then it is swapped in, or not at all
// where it leaves nothing to run; until then the object is const. Places in the text stay relative to their fragment
// until a problem is shown, so that a fragment that moved in its file need not be parsed again.
//
// What an error is: something is left out. The line, as keepalived does it, so that a text means the same here and
// there; the block, where a Virtual Router without that line could be another than its peers take it for, or a server
// be asked for what it is not. What is corrected or has no effect is a warning.
namespace vipkeeper::config {
namespace {

void sort_by_place(std::vector<Problem>& problems) {
  std::ranges::stable_sort(problems, [](const Problem& a, const Problem& b) {
    return std::tie(a.where.file, a.where.line, a.where.column) < std::tie(b.where.file, b.where.line, b.where.column);
  });
}

template <class Key>
void keep_if(std::set<Key>& keys, const Key& key, bool wanted) {
  if (wanted) {
    keys.insert(key);
  } else {
    keys.erase(key);
  }
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
  std::map<VirtualServerKey, Slot> slots;  // of the keys in changed fragments; without a server: removed
  std::set<VirtualServerKey> noted;        // of those
  std::optional<VrrpSide> vrrp;            // resolved again
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
  stage_servers(staged);
  stage_vrrp(staged);
  sort_by_place(staged.problems);
  const bool has_errors =
      std::ranges::any_of(staged.problems, [](const Problem& p) { return p.severity == Severity::error; });
  if (has_errors && !leaves_something(staged)) return std::unexpected(std::move(staged.problems));
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

void Configuration::stage_servers(Staged& staged) const {
  for (const auto& [id, change] : staged.changes) {
    if (change.moved_only) continue;
    if (change.old != nullptr) {
      for (const DeclaredServer& declared : change.old->parsed->servers) staged.slots[declared.key];
    }
    if (!change.entry.parsed) continue;
    const auto& servers = change.entry.parsed->servers;
    for (std::size_t i = 0; i < servers.size(); ++i) staged.slots[servers[i].key].claims.push_back({id, i});
  }
  for (auto& [key, slot] : staged.slots) {
    const auto held = servers_.find(key);
    if (held != servers_.end()) {
      for (const Claim& claim : held->second.claims) {
        const auto change = staged.changes.find(claim.fragment_id);
        if (change == staged.changes.end() || change->second.moved_only) slot.claims.push_back(claim);
      }
      std::ranges::sort(slot.claims);
    }
    for (const Claim& claim : slot.claims) {
      slot.server = entry_of(claim, &staged).parsed->servers[claim.index].server;
      if (slot.server) break;
    }
    if (held != servers_.end() && !slot.claims.empty()) {
      const auto& running = held->second.server;
      if (!slot.server || *slot.server == *running) slot.server = running;
    }
    const std::size_t before = staged.problems.size();
    report_slot(key, slot, &staged, staged.problems);
    if (staged.problems.size() > before) staged.noted.insert(key);
  }
}

const Configuration::Entry& Configuration::entry_of(const Claim& claim, const Staged* staged) const {
  if (staged != nullptr) {
    const auto change = staged->changes.find(claim.fragment_id);
    if (change != staged->changes.end()) return change->second.entry;
  }
  return fragments_.at(claim.fragment_id);
}

void Configuration::report_slot(const VirtualServerKey& key, const Slot& slot, const Staged* staged,
                                std::vector<Problem>& problems) const {
  std::optional<Location> first;
  for (const Claim& claim : slot.claims) {
    const Entry& entry = entry_of(claim, staged);
    const DeclaredServer& declared = entry.parsed->servers[claim.index];
    if (!declared.server) continue;
    const Location where = locate(*entry.fragment, declared.at);
    if (!first) {
      first = where;
      continue;
    }
    problems.push_back(
        {Severity::error, where,
         fmt::format("virtual_server {} is defined twice, first in {}:{}:{}, the first counts: remove one, "
                     "or give them different ports or protocols",
                     key.to_string(), first->file, first->line, first->column)});
  }
  if (first || !slot.server) return;
  const Entry& entry = entry_of(slot.claims.front(), staged);
  problems.push_back(
      {Severity::error, locate(*entry.fragment, entry.parsed->servers[slot.claims.front().index].at),
       fmt::format("virtual_server {} stays as it runs until this is mended: its last good form", key.to_string())});
}

void Configuration::stage_vrrp(Staged& staged) const {
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
  staged.vrrp = resolve_vrrp(std::move(sources), {instances_, scripts_});
  staged.problems.insert(staged.problems.end(), staged.vrrp->problems.begin(), staged.vrrp->problems.end());
}

bool Configuration::leaves_something(const Staged& staged) const {
  if (!(staged.vrrp ? staged.vrrp->instances.empty() : instances_.empty())) return true;
  std::size_t removed = 0;
  for (const auto& [key, slot] : staged.slots) {
    if (slot.server) return true;
    if (servers_.contains(key)) ++removed;
  }
  return servers_.size() > removed;
}

ApplyResult Configuration::commit(Staged& staged) {
  ApplyResult result;
  result.fragments_parsed = staged.fragments_parsed;
  for (auto& [key, slot] : staged.slots) {
    const auto held = servers_.find(key);
    keep_if(noted_servers_, key, staged.noted.contains(key));
    if (slot.server) {
      if (held == servers_.end() || held->second.server != slot.server) result.delta.virtual_servers[key] = slot.server;
      servers_[key] = std::move(slot);
    } else if (held != servers_.end()) {
      result.delta.virtual_servers[key] = nullptr;
      servers_.erase(held);
    }
  }
  if (staged.vrrp) {
    auto instances = shared_values(std::move(staged.vrrp->instances), instances_);
    auto scripts = shared_values(std::move(staged.vrrp->scripts), scripts_);
    result.delta.vrrp_changed = staged.vrrp->globals != globals_ || instances != instances_ || scripts != scripts_;
    globals_ = std::move(staged.vrrp->globals);
    instances_ = std::move(instances);
    scripts_ = std::move(scripts);
    vrrp_problems_ = std::move(staged.vrrp->problems);
    if (result.delta.vrrp_changed) {
      result.delta.globals = globals_;
      result.delta.instances = instances_;
      result.delta.scripts = scripts_;
    }
  }
  result.problems = std::move(staged.problems);
  for (auto& [id, change] : staged.changes) {
    if (!change.entry.fragment) {
      fragments_.erase(id);
      vrrp_fragments_.erase(id);
      noted_fragments_.erase(id);
      continue;
    }
    keep_if(vrrp_fragments_, id, change.entry.parsed->has_vrrp());
    keep_if(noted_fragments_, id, !change.entry.parsed->findings.empty());
    fragments_[id] = std::move(change.entry);
  }
  return result;
}

std::shared_ptr<const VirtualServer> Configuration::virtual_server(const VirtualServerKey& key) const {
  const auto found = servers_.find(key);
  return found == servers_.end() ? nullptr : found->second.server;
}

std::vector<Problem> Configuration::problems() const {
  std::vector<Problem> result = vrrp_problems_;
  for (const std::string& id : noted_fragments_) {
    const Entry& entry = fragments_.at(id);
    for (const Finding& finding : entry.parsed->findings) result.push_back(locate(*entry.fragment, finding));
  }
  for (const VirtualServerKey& key : noted_servers_) report_slot(key, servers_.at(key), nullptr, result);
  sort_by_place(result);
  return result;
}

Verdict check_text(std::string_view file, std::string_view text) {
  return check({{std::string(file), std::string(text)}});
}

Verdict check(const std::vector<SourceText>& sources) {
  Configuration configuration;
  auto result = configuration.apply(split(sources, {}));
  if (!result) return {false, std::move(result.error())};
  return {true, std::move(result->problems)};
}

}  // namespace vipkeeper::config
