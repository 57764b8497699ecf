#pragma once

#include <boost/crc.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/objects/objects.h"
#include "engine/base/result.h"

// RUN_DIR/objects.json: the objects as last known, for a start without the API server. See the head of saved_state.cpp.
namespace vipkeeper::objects {

// Whose state it is; one of another origin is not used.
struct StateOrigin {
  std::string config_map;       // "default/vip-configmap"
  std::string watch_namespace;  // empty: all
  std::string node;
  std::string server;  // "https://10.96.0.1:443"
  bool operator==(const StateOrigin&) const = default;
};

// Makes the text piece by piece, so that it never lies in memory as a whole: each call appends to `to`, which the
// caller writes out and empties whenever it likes, but not before the call that follows begin() and not out of order.
class StateWriter {
 public:
  // `saved_at`: RFC 3339, shown to people.
  void begin(std::string& to, const StateOrigin& origin, std::string_view saved_at);
  // The last good text of an entry of the ConfigMap.
  void good_text(std::string& to, std::string_view key, std::string_view text);
  void object(std::string& to, const ObjectKey& key, const Object& object);
  void end(std::string& to);

 private:
  void finish_line(std::string& to, std::size_t from);

  boost::crc_32_type checksum_;
  std::uint64_t lines_ = 0;
};

struct SavedState {
  std::string saved_at;
  std::map<std::string, std::string> good_texts;
  std::vector<ObjectChange> objects;  // empty if they were not asked for
};

enum class Wanted : std::uint8_t { good_texts, all };

// Reads it whole or not at all. The Error says what is wrong with it: damaged (cut or changed at any byte), of another
// format version, of another origin.
Result<SavedState> parse_saved_state(std::string_view text, const StateOrigin& origin, Wanted wanted);

}  // namespace vipkeeper::objects
