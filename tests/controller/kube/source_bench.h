#pragma once

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "controller/kube/api_server_source.h"
#include "controller/kube/loop.h"
#include "tests/controller/kube/certificates.h"
#include "tests/controller/kube/fake_api.h"
#include "tests/controller/kube/scripted_server.h"

// What tests of ApiServerSource over loopback have in common.
namespace vipkeeper::test {

inline std::string object(const std::string& name, const std::string& rest, const std::string& uid = "u1") {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"default","uid":")" + uid + R"("})" +
         (rest.empty() ? "" : "," + rest) + "}";
}
inline std::string config_map(const std::string& value, const std::string& uid = "u1") {
  return object("vips", R"("data":{"v":")" + value + R"("})", uid);
}
inline std::string service(const std::string& name, int port) {
  return object(name, R"("spec":{"clusterIP":"10.96.0.9","ports":[{"port":)" + std::to_string(port) + "}]}");
}

// What a source has told.
class Listener {
 public:
  objects::ObjectSource::Sink sink() {
    return [this](objects::ObjectBatch batch) {
      const std::lock_guard lock(mutex_);
      for (const objects::ObjectChange& change : batch.changes) {
        if (change.object) {
          objects_[change.key.to_string()] = text_of(*change.object);
        } else {
          objects_.erase(change.key.to_string());
          ++deletions_;
        }
      }
      for (auto& [prefix, least] : least_) {
        const auto now = static_cast<int>(
            std::ranges::count_if(objects_, [&](const auto& one) { return one.first.starts_with(prefix); }));
        least = least < 0 && now == 0 ? least : least < 0 ? now : std::min(least, now);
      }
      went_back_ = went_back_ || (synced_ && !batch.synced);
      synced_ = batch.synced;
      problems_ = batch.problems;
      for (const objects::SourceProblem& problem : problems_) said_.insert(problem.message);
      ++batches_;
      changed_.notify_all();
    };
  }
  using State = std::map<std::string, std::string>;
  bool syncs() {
    return wait([&] { return synced_; });
  }
  bool becomes(const State& state) {
    return wait([&] { return objects_ == state; });
  }
  // The object comes to have the value; "" to be absent.
  bool sees(const std::string& key, const std::string& value) {
    return wait([&] { return (objects_.contains(key) ? objects_[key] : "") == value; });
  }
  bool has_problem(const std::string& part) {
    return wait([&] {
      return std::ranges::any_of(problems_, [&](const auto& p) { return p.message.find(part) != std::string::npos; });
    });
  }
  bool has_no_problem() {
    return wait([&] { return problems_.empty(); });
  }
  // At any time so far, in a problem.
  bool said(const std::string& part) {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(said_, [&](const std::string& one) { return one.find(part) != std::string::npos; });
  }
  int deletions() { return read(deletions_); }
  // How many objects there were at least, after a batch, whose key begins so, since there was one.
  int least(const std::string& prefix) {
    const std::lock_guard lock(mutex_);
    return least_.at(prefix);
  }
  int problems() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(problems_.size());
  }
  int errors() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::ranges::count_if(problems_, &objects::SourceProblem::error));
  }
  int batches() { return read(batches_); }
  bool is_synced() { return read(synced_); }
  bool went_back() { return read(went_back_); }

 private:
  static std::string text_of(const objects::Object& object) {
    if (const auto* map = std::get_if<objects::ConfigMap>(&object)) return map->data.at("v");
    if (const auto* one = std::get_if<objects::Service>(&object)) return std::to_string(one->ports.at(0).port);
    if (const auto* pod = std::get_if<objects::Pod>(&object)) return pod->node_name;
    return "there";
  }
  template <class T>
  T read(const T& value) {
    const std::lock_guard lock(mutex_);
    return value;
  }
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  State objects_;
  bool synced_ = false;
  bool went_back_ = false;
  int deletions_ = 0;
  int batches_ = 0;
  std::map<std::string, int> least_{{"Endpoint", -1}};
  std::vector<objects::SourceProblem> problems_;
  std::set<std::string> said_;
};

template <class Condition>
bool eventually(Condition condition) {
  for (const auto end = Clock::now() + std::chrono::seconds(20); Clock::now() < end; std::this_thread::yield()) {
    if (condition()) return true;
  }
  return false;
}

inline kube::ApiServerOptions options_for(const std::string& url) {
  kube::initialize();
  kube::ApiServerOptions options;
  options.access.apiserver_host = url;
  options.config_map_namespace = "default";
  options.config_map_name = "vips";
  options.probe_least = std::chrono::milliseconds(20);
  options.probe_most = std::chrono::milliseconds(40);
  return options;
}

inline std::unique_ptr<kube::ApiServerSource> source_for(const kube::ApiServerOptions& options) {
  auto source = kube::ApiServerSource::create(options);
  REQUIRE(source);
  return *std::move(source);
}

// A fake API server on a port, that can be stopped and come back.
struct Cluster {
  explicit Cluster(SSL_CTX* context = nullptr) : tls(context) { up(); }
  ~Cluster() { down(); }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  void up() {
    api.reopen();
    server = std::make_unique<ScriptedServer>(api.handler(), tls, port);
    port = server->port();
  }
  void down() {
    api.shut();
    server.reset();
  }
  [[nodiscard]] std::string url() const {
    return (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port);
  }
  [[nodiscard]] int count(const std::string& kind) const {
    const auto all = server->requests();
    return static_cast<int>(std::ranges::count_if(all, [&](const auto& r) { return FakeApi::kind_of(r) == kind; }));
  }

  FakeApi api;
  SSL_CTX* tls;
  std::uint16_t port = 0;
  std::unique_ptr<ScriptedServer> server;
};

inline const std::string map_key = "ConfigMap default/vips";

struct Pki {
  Identity authority = make_authority("cluster-ca");
  Identity other = make_authority("other-ca");
};

// A kubeconfig with these fields, beside a ca.crt of the authority.
struct Config {
  Config() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vipkeeper-tls-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    dir = pattern;
  }
  ~Config() { std::filesystem::remove_all(dir); }
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;
  void file(const std::string& name, const std::string& text) const { std::ofstream(dir / name) << text; }
  [[nodiscard]] kube::ApiServerOptions write(const std::string& server,
                                             const std::string& cluster = "certificate-authority: ca.crt",
                                             const std::string& user = "{}") const {
    file("config",
         "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: "
         "{server: '" +
             server + "', " + cluster + "}}]\nusers: [{name: u, user: " + user + "}]\n");
    kube::ApiServerOptions options = options_for("");
    options.access.kubeconfig = (dir / "config").string();
    return options;
  }
  std::filesystem::path dir;
};

}  // namespace vipkeeper::test
