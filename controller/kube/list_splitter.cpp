#include "controller/kube/list_splitter.h"

namespace vipkeeper::kube {

namespace {

// Depth of the list's own members, of the array "items" and of an item in it.
constexpr std::size_t member_depth = 1;
constexpr std::size_t items_depth = 2;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

bool ListSplitter::feed(std::string_view bytes, const TakeItem& take) {
  std::size_t item_start = 0;  // in `bytes`, of the item's part that is not in item_ yet
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (in_text_) {
      if (in_items_) {
        // Most bytes of a list are inside strings: look only for what can end one.
        if (!escaped_ && c != '"' && c != '\\') continue;
      } else {
        envelope_ += c;
        if (depth_ == member_depth && (escaped_ || c != '"')) last_text_ += c;
      }
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_text_ = false;
      }
      continue;
    }
    if (!in_items_) {
      outside(c);
      if (in_items_) item_start = i + 1;
      if (envelope_.size() > longest_envelope) return false;
      continue;
    }
    if (c == '"') {
      in_text_ = true;
    } else if (c == '{' || c == '[') {
      if (depth_ == items_depth) item_start = i;
      ++depth_;
    } else if (c == '}' || c == ']') {
      --depth_;
      if (depth_ == items_depth) {
        const std::string_view end = bytes.substr(item_start, i + 1 - item_start);
        if (item_.empty()) {
          take(end);
        } else {
          item_.append(end);
          take(item_);
          item_.clear();
        }
        item_start = i + 1;
      } else if (depth_ < items_depth) {
        in_items_ = false;
        envelope_ += c;
      }
    } else if (depth_ == items_depth) {
      if (!is_space(c) && c != ',') return false;  // items are objects
      item_start = i + 1;
    }
  }
  if (in_items_ && depth_ > items_depth) {
    item_.append(bytes.substr(item_start));
    if (item_.size() > longest_item) return false;
  }
  return true;
}

void ListSplitter::outside(char c) {
  envelope_ += c;
  if (c == '"') {
    in_text_ = true;
    if (depth_ == member_depth) last_text_.clear();
  } else if (c == ':') {
    if (depth_ == member_depth) is_items_ = last_text_ == "items";
  } else if (c == '{' || c == '[') {
    started_ = true;
    in_items_ = c == '[' && depth_ == member_depth && is_items_;
    is_items_ = false;
    ++depth_;
  } else if (c == '}' || c == ']') {
    if (depth_ > 0) --depth_;
  } else if (c == ',') {
    is_items_ = false;
  }
}

}  // namespace vipkeeper::kube
