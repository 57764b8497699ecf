#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/config.h"

namespace vipkeeper::config {

struct ParsedFragment;

struct ApplyResult {
  ConfigDelta delta;
  // What was left out (errors) or corrected (warnings) of the fragments that were parsed, of the virtual_servers they
  // have, and of the VRRP side if it was resolved again; Configuration::problems() has all.
  std::vector<Problem> problems;
  std::uint32_t fragments_parsed = 0;
};

// The running configuration as a set of parsed fragments. apply() parses only the fragments it is given and validates
// the result whole (also across fragments: two virtual_servers with one key, a track_script that no vrrp_script
// defines). What cannot be used costs itself alone: the line, or the block where that would be unsafe without it. A
// block that cannot be used stays in its last good form, the one that runs, if one runs under its identity (the name of
// an instance or a script, the key of a virtual_server). Refused as a whole, with nothing changed and every problem
// returned, is only what has errors and leaves no instance and no virtual_server to run. Of a text that nothing ran
// before, the result is a function of the text alone. Work grows with the change, not with the number of fragments: a
// fragment given again as it is costs a comparison of pointers, one that only moved in its file a comparison of texts.
// Not thread-safe; pure.
class Configuration {
 public:
  Configuration();
  ~Configuration();
  Configuration(Configuration&&) noexcept;
  Configuration& operator=(Configuration&&) noexcept;

  std::expected<ApplyResult, std::vector<Problem>> apply(const FragmentChange& change);

  // What runs now. References and pointers to containers are valid until the next apply().
  [[nodiscard]] const GlobalDefs& globals() const { return globals_; }
  [[nodiscard]] const std::vector<std::shared_ptr<const VrrpInstance>>& instances() const { return instances_; }
  [[nodiscard]] const std::vector<std::shared_ptr<const VrrpScript>>& scripts() const { return scripts_; }
  // Null if there is none.
  [[nodiscard]] std::shared_ptr<const VirtualServer> virtual_server(const VirtualServerKey& key) const;
  [[nodiscard]] std::size_t virtual_server_count() const { return servers_.size(); }
  [[nodiscard]] std::size_t fragment_count() const { return fragments_.size(); }
  // All problems of the text that runs now, in the order of files and lines. Looks at the fragments that have some.
  [[nodiscard]] std::vector<Problem> problems() const;

 private:
  struct Entry {
    std::shared_ptr<const Fragment> fragment;
    std::shared_ptr<const ParsedFragment> parsed;
  };
  // A virtual_server block: the index in its fragment's servers.
  struct Claim {
    std::string fragment_id;
    std::size_t index = 0;
    auto operator<=>(const Claim&) const = default;
  };
  // One key of a virtual_server, with every block that has it.
  struct Slot {
    std::shared_ptr<const VirtualServer>
        server;                 // what runs: of the first claim that can be used, or the last good one
    std::vector<Claim> claims;  // in the order of ids
  };
  struct Staged;  // an apply() that has not been swapped in

  void parse(const FragmentChange& change, Staged& staged) const;
  void stage_servers(Staged& staged) const;
  void stage_vrrp(Staged& staged) const;
  [[nodiscard]] bool leaves_something(const Staged& staged) const;
  ApplyResult commit(Staged& staged);
  // `staged` may be null: as committed.
  [[nodiscard]] const Entry& entry_of(const Claim& claim, const Staged* staged) const;
  void report_slot(const VirtualServerKey& key, const Slot& slot, const Staged* staged,
                   std::vector<Problem>& problems) const;

  std::map<std::string, Entry> fragments_;
  std::set<std::string> vrrp_fragments_;   // ids of those with globals, scripts or instances
  std::set<std::string> noted_fragments_;  // ids of those with findings
  std::map<VirtualServerKey, Slot> servers_;
  std::set<VirtualServerKey> noted_servers_;  // of several blocks, or of one that cannot be used
  GlobalDefs globals_;
  std::vector<std::shared_ptr<const VrrpInstance>> instances_;
  std::vector<std::shared_ptr<const VrrpScript>> scripts_;
  std::vector<Problem> vrrp_problems_;
};

// The fragments of a whole keepalived.conf, one a top-level block. Any text gives fragments that together hold all of
// it, so that what is wrong comes out of apply(). Ids are stable: kind and name, "#2" and so on behind a name used
// again. `previous` is what split() gave for the last load: an unchanged block gives the very same pointer, and what is
// gone is in the result with a null pointer.
FragmentChange split(std::string_view file, std::string_view text, const FragmentChange& previous);

// A text, or the part of one between two includes, and where it begins in its file.
struct SourceText {
  std::string file;
  std::string text;
  std::uint32_t first_line = 1;
  std::uint32_t first_column = 1;
};

// The same of several texts that are one configuration, in their order; `$NAME`s are replaced by what was defined
// before them, in any of the texts.
FragmentChange split(const std::vector<SourceText>& sources, const FragmentChange& previous);

// What an engine that starts with a text makes of it: whether it has something to run, and every problem, in the order
// of lines. split() and apply() on an empty configuration.
struct Verdict {
  bool usable = false;
  std::vector<Problem> problems;
};
Verdict check(const std::vector<SourceText>& sources);
Verdict check_text(std::string_view file, std::string_view text);

}  // namespace vipkeeper::config
