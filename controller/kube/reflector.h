#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "controller/kube/backoff.h"
#include "controller/kube/conversation.h"
#include "controller/kube/line_splitter.h"
#include "controller/kube/list_splitter.h"
#include "controller/kube/tally.h"
#include "controller/objects/objects.h"

namespace vipkeeper::kube {

// One resource to be listed and watched.
struct Resource {
  objects::Kind kind = objects::Kind::service;
  std::string name;      // "services": for messages and counters
  std::string path;      // "/api/v1/services"
  std::string selector;  // "fieldSelector=metadata.name%3Dvip-configmap", may be empty
};

// Keeps up with all objects of one resource: list, then watch, and what follows from every way in which these fail.
// Pure: see the head of reflector.cpp.
class Reflector final : public Conversation {
 public:
  Reflector(Resource resource, std::uint32_t seed);

  Step start(TimePoint now) override;
  Step handle(TimePoint now, const Event& event) override;
  [[nodiscard]] bool synced() const override { return synced_; }
  [[nodiscard]] std::vector<objects::SourceProblem> problems() const override;
  [[nodiscard]] std::uint64_t problem_generation() const override { return problem_generation_; }
  void count(Counters& counters) const override;

 private:
  enum class Phase { idle, listing, watching, waiting };
  enum class Next { list, watch };

  // All that is kept of an object: what tells whether it is still the same. Hashes, because of their size.
  struct Known {
    std::size_t uid = 0;
    std::size_t resource_version = 0;
    bool operator==(const Known&) const = default;
  };
  // An object as it was read; `object` is null if it is as known, or if `problem` says why it cannot be read.
  struct Item {
    objects::ObjectKey key;
    Known identity;
    std::shared_ptr<const objects::Object> object;
    std::string problem;
  };

  Step on_responded(TimePoint now, const Responded& event);
  Step on_received(TimePoint now, std::string_view bytes);
  Step on_ended(TimePoint now, const Ended& event);

  Step list(std::string resource_version);
  Step list_page();
  Step list_ended(TimePoint now, const Ended& event);
  Step list_refused(TimePoint now);
  Step replace();

  Step watch();
  void watch_line(TimePoint now, std::string_view line, Step& step);
  void watch_error(TimePoint now, std::string_view status, Step& step);
  Step watch_ended(TimePoint now, const Ended& event);
  Step watch_refused(TimePoint now);

  Step back_off(TimePoint now, Next next);
  Step gone(std::string reason, Next next);
  Step relist_expired(TimePoint now);

  void take_list_item(std::string_view text);
  // nullopt: not an object of this resource.
  [[nodiscard]] std::optional<Item> read_item(const nlohmann::json& object) const;
  void adopt(Item item, std::vector<objects::ObjectChange>& changes);
  void set_problem(std::string problem);
  void set_item_problem(const objects::ObjectKey& key, std::string problem);

  Resource resource_;
  std::minstd_rand random_;
  Backoff backoff_;
  Phase phase_ = Phase::idle;
  Next next_ = Next::list;

  // The answer under way.
  int status_ = 0;
  std::optional<std::chrono::seconds> retry_after_;
  std::string error_body_;
  ListSplitter splitter_;
  LineSplitter lines_;
  bool malformed_ = false;
  TimePoint watch_started_;
  std::uint64_t watch_events_ = 0;

  // The list under way.
  std::string list_version_;
  std::string continue_;
  bool unlimited_ = false;  // a page expired: all in one
  bool paged_ = false;      // the first list came in pages, so the server has no watch cache to spare
  std::vector<Item> items_;

  std::string last_version_;  // of the newest list, event or bookmark
  unsigned expired_in_a_row_ = 0;
  bool synced_ = false;
  std::map<objects::ObjectKey, Known> known_;

  std::string problem_;
  std::map<objects::ObjectKey, std::string> item_problems_;
  std::uint64_t problem_generation_ = 0;
  Tally lists_;
  Tally watches_;
  Tally events_;
  Tally bookmarks_;
  Tally errors_;
  Tally expired_;
  Tally skipped_;
  Tally objects_;
};

}  // namespace vipkeeper::kube
