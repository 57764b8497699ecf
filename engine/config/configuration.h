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
  // Of the fragments that were parsed, and of the VRRP side if it was resolved again; Configuration::warnings() has
  // all.
  std::vector<Problem> warnings;
  std::uint32_t fragments_parsed = 0;
};

// The running configuration as a set of parsed fragments. apply() parses only the fragments it is given, validates the
// result whole (also across fragments: two virtual_servers with one key, a track_script that no vrrp_script defines),
// and then swaps; on any error nothing changes and every problem is returned. Work grows with the change, not with the
// number of fragments: a fragment given again as it is costs a comparison of pointers, one that only moved in its file
// a comparison of texts. Not thread-safe; pure.
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
  // All warnings of what runs now, in the order of files and lines. Looks at every fragment.
  [[nodiscard]] std::vector<Problem> warnings() const;

 private:
  struct Entry {
    std::shared_ptr<const Fragment> fragment;
    std::shared_ptr<const ParsedFragment> parsed;
  };
  struct OwnedServer {
    std::string fragment_id;
    std::size_t index = 0;  // in that fragment's servers
    std::shared_ptr<const VirtualServer> server;
  };
  struct Staged;  // an apply() that has not been swapped in

  void parse(const FragmentChange& change, Staged& staged) const;
  void validate_servers(Staged& staged) const;
  void validate_vrrp(Staged& staged) const;
  ApplyResult commit(Staged& staged);

  std::map<std::string, Entry> fragments_;
  std::set<std::string> vrrp_fragments_;  // ids of those with globals, scripts or instances
  std::map<VirtualServerKey, OwnedServer> servers_;
  GlobalDefs globals_;
  std::vector<std::shared_ptr<const VrrpInstance>> instances_;
  std::vector<std::shared_ptr<const VrrpScript>> scripts_;
  std::vector<Problem> vrrp_warnings_;
};

// The fragments of a whole keepalived.conf, one a top-level block. Any text gives fragments that together hold all of
// it, so that what is wrong comes out of apply(). Ids are stable: kind and name, "#2" and so on behind a name used
// again. `previous` is what split() gave for the last load: an unchanged block gives the very same pointer, and what is
// gone is in the result with a null pointer.
FragmentChange split(std::string_view file, std::string_view text, const FragmentChange& previous);

// Every problem of a whole keepalived.conf, in the order of its lines: split() and apply() on an empty configuration.
std::vector<Problem> check_text(std::string_view file, std::string_view text);

}  // namespace vipkeeper::config
