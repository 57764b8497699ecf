#pragma once

#include <cstdint>
#include <string>

#include "controller/plan/plan.h"
#include "controller/render/templates.h"
#include "engine/base/result.h"
#include "engine/config/config.h"

namespace vipkeeper::render {

// Makes the keepalived.conf text of a plan in fragments and keeps them, so that a change of the plan costs the
// fragments it touches. One thread.
class Renderer {
 public:
  explicit Renderer(Templates templates) : templates_(std::move(templates)) {}

  // The fragments whose text the change alters; null: gone. A plan that is not ready renders to nothing. On failure (a
  // value that cannot stand in a configuration) nothing has changed.
  Result<config::FragmentChange> apply(const plan::PlanChange& change);

  // All fragments, by id; none is null.
  [[nodiscard]] const config::FragmentChange& fragments() const { return fragments_; }
  // How many fragments were rendered so far.
  [[nodiscard]] std::uint64_t rendered() const { return rendered_; }

 private:
  bool put(config::FragmentChange& change, std::string id, const std::string& name, const Values& values,
           std::string& wrong);

  Templates templates_;
  config::FragmentChange fragments_;
  std::uint64_t rendered_ = 0;
};

// "0/globals", "1/vrrp/NAME", "2/vs/...": sorted as text, they give the file's order.
std::string fragment_id(const plan::VirtualServiceKey& key);

// The whole file: the fragments in the order of their ids.
std::string compose(const config::FragmentChange& fragments);

}  // namespace vipkeeper::render
