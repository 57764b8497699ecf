#include "cmd/one_shot.h"

#include <fmt/core.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "cmd/settings.h"
#include "cmd/sources.h"
#include "controller/manifests/directory_source.h"
#include "controller/plan/planner.h"
#include "controller/render/renderer.h"

namespace vipkeeper::cmd {

namespace {

// The API server's objects once, or why not within a time that a person waits.
Result<objects::ObjectBatch> read_api_server(const RunFlags& flags, const plan::PlanOptions& plan) {
  auto source = Source::create(flags, plan);
  if (!source) return std::unexpected(source.error());
  std::mutex mutex;
  std::condition_variable arrived;
  objects::ObjectBatch all;
  (*source)->objects().start([&](objects::ObjectBatch batch) {
    const std::lock_guard lock(mutex);
    all.changes.insert(all.changes.end(), batch.changes.begin(), batch.changes.end());
    all.synced = batch.synced;
    all.problems = std::move(batch.problems);
    arrived.notify_one();
  });
  {
    std::unique_lock lock(mutex);
    arrived.wait_for(lock, std::chrono::seconds(15), [&] { return all.synced; });
  }
  (*source)->objects().stop();
  if (all.synced) return all;
  return failure(ErrorCode::unavailable,
                 all.problems.empty()
                     ? "the API server did not answer within 15 s; check --apiserver-host or --kubeconfig"
                     : fmt::format("{}: {}", all.problems.front().object, all.problems.front().message));
}

Result<objects::ObjectBatch> read_objects(const RunFlags& flags, const plan::PlanOptions& plan) {
  return flags.manifests.empty() ? read_api_server(flags, plan) : manifests::read_directory(flags.manifests);
}

}  // namespace

Result<RenderedOnce> render_once(const RunFlags& flags) {
  const auto options = controller_options(flags);
  if (!options) return std::unexpected(options.error());
  auto own_templates = templates(flags.templates);
  if (!own_templates) return std::unexpected(Error{ErrorCode::io, own_templates.error().message});
  const auto objects = read_objects(flags, options->plan);
  if (!objects) return std::unexpected(Error{ErrorCode::unavailable, objects.error().message});

  plan::Planner planner(options->plan);
  render::Renderer renderer(std::move(*own_templates));
  planner.set_interfaces(host_interfaces(nullptr));
  const plan::PlanChange change = planner.apply(objects->changes, true);
  auto fragments = renderer.apply(change);
  if (!fragments) return std::unexpected(Error{ErrorCode::io, fragments.error().message});

  RenderedOnce result{std::move(*fragments), {}};
  for (const auto& problem : objects->problems) {
    result.problems.push_back(
        fmt::format("{}: {}: {}", problem.error ? "error" : "warning", problem.object, problem.message));
  }
  for (const auto& problem : plan::all_problems(planner.plan().problems)) {
    const bool error = problem.severity == plan::Severity::error;
    result.problems.push_back(fmt::format("{}: {}: {}", error ? "error" : "warning", problem.object, problem.message));
  }
  return result;
}

}  // namespace vipkeeper::cmd
