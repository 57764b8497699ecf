#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "controller/kube/backoff.h"
#include "controller/kube/conversation.h"
#include "controller/kube/known_objects.h"
#include "controller/kube/line_splitter.h"
#include "controller/kube/list_splitter.h"
#include "controller/kube/status.h"
#include "controller/kube/tally.h"
#include "controller/objects/lean_json.h"
#include "controller/objects/objects.h"

namespace vipkeeper::kube {

// One resource to be listed and watched.
struct Resource {
  objects::Kind kind = objects::Kind::service;
  std::string name;       // "services": for messages and counters
  std::string path;       // "/api/v1/services"
  std::string selector;   // "fieldSelector=metadata.name%3Dvip-configmap", may be empty
  bool streamed = false;  // ask for the list as a watch that begins with it (WatchList), where the server knows that
};

// Keeps up with all objects of one resource: list, then watch, and what follows from every way in which these fail.
// Pure: see the head of reflector.cpp. Large: one conversation with a server is one state, of which each part decides
// what the others may do; cut in two it would be two halves that call each other.
class Reflector final : public Conversation {
 public:
  Reflector(Resource resource, std::uint32_t seed);

  Step start(TimePoint now) override;
  Step handle(TimePoint now, const Event& event) override;
  [[nodiscard]] bool synced() const override { return synced_; }
  [[nodiscard]] std::vector<objects::SourceProblem> problems() const override;
  [[nodiscard]] std::uint64_t problem_generation() const override {
    return problem_generation_ + known_.problem_generation();
  }
  void count(Counters& counters) const override;

  // Why the server will not list this resource ("403 Forbidden: ...", "404 Not Found"); empty: it has not said so since
  // the last list.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  // Back to before start(); what was told is taken back.
  std::vector<objects::ObjectChange> forget();

 private:
  enum class Phase { idle, listing, streaming, watching, waiting };
  // After a wait: the list in the resource's own way, as pages, or the watch.
  enum class Next { list, pages, watch };

  Step on_responded(TimePoint now, const Responded& event);
  Step on_received(TimePoint now, std::string_view bytes);
  Step on_ended(TimePoint now, const Ended& event);
  Step on_wait_over(TimePoint now);
  Step go_on(TimePoint now, Next next);

  // reflector.cpp: the list in pages
  Step list(std::string resource_version);
  Step list_page();
  Step list_ended(TimePoint now, const Ended& event);
  Step list_page_ended(TimePoint now);
  Step list_refused(TimePoint now);
  void take_list_item(std::string_view text);

  // reflector_watch.cpp: the list as a stream
  Step stream(TimePoint now, std::string resource_version);
  void stream_object(std::string_view type, Item item);
  Step stream_failed(TimePoint now, const StatusAnswer& answer, bool may_come_back);
  Step stream_ended(TimePoint now, const Ended& event);

  // reflector_watch.cpp: the watch
  Step watch(TimePoint now);
  Step request_watch(TimePoint now, const std::string& parameters);
  Step watch_bytes(TimePoint now, std::string_view bytes);
  void watch_line(TimePoint now, std::string_view line, Step& step);
  void bookmark(TimePoint now, const nlohmann::json& metadata, Step& step);
  void watch_object(std::string_view type, Item item, Step& step);
  Step watch_error(TimePoint now, const std::string& status);
  Step watch_ended(TimePoint now, const Ended& event);
  Step watch_refused(TimePoint now);
  Step no_head(TimePoint now, const Ended& event, Next next);

  Step back_off(TimePoint now, Next next);
  Step gone(std::string reason, Next next);
  Step relist_expired(TimePoint now);
  void begin_answer();
  void replace(std::string version, Step& step);
  void set_problem(std::string problem);

  // A watch whose answer has no head for so long may stand behind a proxy that holds it back until there is a body.
  static constexpr Duration late_head = std::chrono::seconds(10);

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
  objects::LeanReader reader_;
  bool malformed_ = false;
  TimePoint asked_at_;
  TimePoint watch_started_;
  std::uint64_t watch_events_ = 0;

  // The list under way.
  std::string list_version_;
  std::string page_version_;  // what the first page said
  std::string continue_;
  bool unlimited_ = false;  // a page expired: all in one
  bool paged_ = false;      // the first list came in pages, so the server has no watch cache to spare
  bool quiet_ = false;      // nothing has come of the stream since the wait began
  Items items_;

  std::string last_version_;  // of the newest list, event or bookmark
  unsigned expired_in_a_row_ = 0;
  unsigned short_in_a_row_ = 0;  // watches that ended within a second
  unsigned cut_streams_ = 0;     // that ended before the list was whole
  unsigned patience_ = 1;        // for the head of a watch's answer
  bool synced_ = false;
  KnownObjects known_;

  std::string problem_;
  std::string refusal_;
  std::uint64_t problem_generation_ = 0;
  Tally lists_;
  Tally streams_;
  Tally watches_;
  Tally events_;
  Tally bookmarks_;
  Tally errors_;
  Tally expired_;
  Tally skipped_;
  Tally objects_;
};

}  // namespace vipkeeper::kube
