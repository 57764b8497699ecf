#include "controller/manifests/value_builder.h"

#include <fmt/core.h>

#include <utility>

namespace vipkeeper::manifests {

using nlohmann::json;

json& ValueBuilder::place(json value) {
  if (frames_.empty()) {
    started_ = true;
    root_ = std::move(value);
    return root_;
  }
  Frame& frame = frames_.back();
  if (frame.value->is_array()) {
    frame.value->push_back(std::move(value));
    return frame.value->back();
  }
  json& member = (*frame.value)[*frame.key];
  member = std::move(value);
  frame.key.reset();
  return member;
}

void ValueBuilder::add(json value) { place(std::move(value)); }

void ValueBuilder::start(json::value_t type) {
  // An open array does not grow while its last element is open, so the pointer holds.
  frames_.push_back(Frame{&place(json(type)), {}, {}});
}

const json& ValueBuilder::end() {
  const Frame frame = std::move(frames_.back());
  frames_.pop_back();
  if (frame.merge_key) {
    const json from = std::move((*frame.value)[*frame.merge_key]);
    frame.value->erase(*frame.merge_key);
    if (!from.is_array()) {
      merge(*frame.value, from);
    } else {
      for (const json& one : from) merge(*frame.value, one);
    }
  }
  return *frame.value;
}

void ValueBuilder::merge(json& into, const json& from) {
  if (!from.is_object()) throw BuildError("the value of \"<<\" is not a mapping");
  for (const auto& [name, value] : from.items()) {
    if (!into.contains(name)) into[name] = value;
  }
}

void ValueBuilder::key(std::string name, bool merge) {
  Frame& frame = frames_.back();
  if (frame.value->contains(name)) throw BuildError(fmt::format("the key \"{}\" comes twice", name));
  if (merge) frame.merge_key = name;
  frame.key = std::move(name);
}

json ValueBuilder::take() {
  started_ = false;
  frames_.clear();
  return std::exchange(root_, json());
}

}  // namespace vipkeeper::manifests
