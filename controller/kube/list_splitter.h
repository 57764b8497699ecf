#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace vipkeeper::kube {

// The JSON of a list ("kind": "ServiceList", "items": [...]), taken apart while it arrives: each element of the
// top-level "items" is handed over as its own text, and the rest stays behind as the envelope, with "items" empty. So a
// list of any length needs the memory of its largest item. It finds the elements' ends only (strings and brackets);
// whether they are JSON is for their reader to say. Any other JSON, such as an error's Status, ends up in the envelope
// whole.
class ListSplitter {
 public:
  using TakeItem = std::function<void(std::string_view item)>;

  // False: an item or the envelope grew beyond any sense, or the brackets do not match; feed no more.
  bool feed(std::string_view bytes, const TakeItem& take);

  [[nodiscard]] const std::string& envelope() const { return envelope_; }
  // All brackets are closed.
  [[nodiscard]] bool complete() const { return started_ && depth_ == 0; }
  void clear() { *this = ListSplitter(); }

 private:
  void outside(char c);
  static constexpr std::size_t longest_item = 32 * 1024 * 1024;
  static constexpr std::size_t longest_envelope = 1024 * 1024;

  std::string envelope_;
  std::string item_;
  std::string last_text_;  // the last string at depth 1: a key, or a value
  bool is_items_ = false;  // the key whose value comes next is "items"
  bool in_items_ = false;
  bool in_text_ = false;
  bool escaped_ = false;
  bool started_ = false;
  std::size_t depth_ = 0;
};

}  // namespace vipkeeper::kube
