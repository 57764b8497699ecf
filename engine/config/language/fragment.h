#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace vipkeeper::config {

// One piece of the text: globals, one vrrp_instance with its scripts, one virtual_server. `id` is unique and stable;
// fragments are composed in the order of `id`, so ids start with a digit that groups them ("0/globals", "1/vrrp/NAME",
// "2/vs/...").
struct Fragment {
  std::string id;
  std::string file;  // what problems name; the shown file or the user's
  std::uint32_t first_line = 1;
  std::string text;
  std::uint32_t first_column = 1;  // of the first line of `text`, when a block starts in the middle of a line

  bool operator==(const Fragment&) const = default;
};

// A change of some fragments; a null pointer removes. Later changes override earlier ones id by id.
using FragmentChange = std::map<std::string, std::shared_ptr<const Fragment>>;

}  // namespace vipkeeper::config
