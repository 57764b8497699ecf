#include "cmd/sources.h"

#include <fmt/core.h>

#include "cmd/settings.h"
#include "controller/kube/api_server_source.h"
#include "controller/kube/api_server_writer.h"
#include "controller/kube/loop.h"
#include "controller/manifests/directory_source.h"

namespace vipkeeper::cmd {

namespace {

class Directory final : public Source {
 public:
  explicit Directory(const std::string& path) : source_(path) {}
  objects::ObjectSource& objects() override { return source_; }
  report::SendRequest writer() override { return {}; }
  [[nodiscard]] std::string server() const override { return {}; }
  void stop() override { source_.stop(); }
  [[nodiscard]] status::Counters counters() const override {
    const auto counters = source_.counters();
    return {{"manifest_files_read", counters.files_read},
            {"manifest_scans", counters.scans},
            {"manifest_events", counters.events}};
  }

 private:
  manifests::DirectorySource source_;
};

class ApiServer final : public Source {
 public:
  ApiServer(std::unique_ptr<kube::ApiServerSource> source, std::unique_ptr<kube::ApiServerWriter> writer)
      : source_(std::move(source)), writer_(std::move(writer)) {}
  objects::ObjectSource& objects() override { return *source_; }
  report::SendRequest writer() override {
    return [this](report::ApiRequest request, std::function<void(report::ApiAnswer)> listener) {
      writer_->send({.target = std::move(request.target),
                     .method = std::move(request.method),
                     .accept = std::move(request.accept),
                     .body = std::move(request.body),
                     .content_type = std::move(request.content_type)},
                    [listener = std::move(listener)](kube::Answer answer) {
                      listener({answer.status, std::move(answer.text), answer.retry_after});
                    });
    };
  }
  [[nodiscard]] std::string server() const override { return source_->state().server; }
  void stop() override {
    writer_->stop();
    source_->stop();
  }
  [[nodiscard]] status::Counters counters() const override {
    status::Counters result;
    for (const auto& [key, value] : source_->state().counters) {
      const auto dot = key.find('.');
      result["apiserver_" + (dot == std::string::npos
                                 ? key
                                 : fmt::format("{}{{kind=\"{}\"}}", key.substr(0, dot), key.substr(dot + 1)))] = value;
    }
    return result;
  }

 private:
  std::unique_ptr<kube::ApiServerSource> source_;
  std::unique_ptr<kube::ApiServerWriter> writer_;
};

}  // namespace

Result<std::unique_ptr<Source>> Source::create(const RunFlags& flags, const plan::PlanOptions& plan) {
  if (!flags.manifests.empty()) return std::make_unique<Directory>(flags.manifests);
  kube::initialize();
  kube::ApiServerOptions options;
  options.access.apiserver_host = flags.apiserver_host;
  options.access.kubeconfig = flags.kubeconfig;
  options.access.service_host = environment("KUBERNETES_SERVICE_HOST");
  options.access.service_port = environment("KUBERNETES_SERVICE_PORT");
  options.watch_namespace = plan.watch_namespace;
  options.config_map_namespace = plan.config_map_namespace;
  options.config_map_name = plan.config_map_name;
  options.pod_namespace = plan.pod_namespace;
  options.pod_name = plan.pod_name;
  auto writer = kube::ApiServerWriter::create(options.access);
  if (!writer) return std::unexpected(writer.error());
  auto source = kube::ApiServerSource::create(std::move(options));
  if (!source) return std::unexpected(source.error());
  return std::make_unique<ApiServer>(std::move(*source), std::move(*writer));
}

}  // namespace vipkeeper::cmd
