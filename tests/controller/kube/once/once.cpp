// A process that asks an API server for its objects and ends by returning from main(), as `vipkeeper` does:
//
//     kube_once MODE KUBECONFIG        MODE: at-once | synced | stopped | busy | stuck
//
// It ends right after it began, once everything is listed and watched, or after stop(); `busy` has its pool thread do
// something long at that time, and `stuck` is `at-once` while a name is being looked up that never is. "ready" is
// printed when the end begins. Exit code 3: OpenSSL was cleaned up while cpprestsdk's pool was still at work.

#include <dlfcn.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <future>
#include <string>
#include <string_view>
#include <thread>

#include "controller/kube/api_server_source.h"
#include "controller/kube/loop.h"

namespace {

std::atomic<bool> stuck = false;
std::atomic<bool> looking_up = false;
constexpr int pool_at_work = 3;

std::ptrdiff_t others = 0;  // threads that are not the pool's: a sanitizer's

std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

void at_openssl_clean_up() {
  if (threads() > others) ::_exit(pool_at_work);
}

}  // namespace

// In place of the C library's, which gets no answer then.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
  looking_up = true;
  while (stuck) ::pause();
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto library = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return library(host, service, hints, found);
}

int main(int argc, char** argv) {
  using namespace vipkeeper;
  if (argc != 3) return 2;
  const std::string_view mode = argv[1];
  stuck = mode == "stuck";
  std::thread([] {}).join();  // with the first one comes a sanitizer's own
  others = threads();
  if (!stuck) ::OPENSSL_atexit(at_openssl_clean_up);
  kube::initialize();
  kube::ApiServerOptions options;
  options.access.kubeconfig = argv[2];
  options.config_map_namespace = "default";
  options.config_map_name = "vips";
  auto source = kube::ApiServerSource::create(options);
  if (!source) {
    std::fprintf(stderr, "%s\n", source.error().message.c_str());
    return 1;
  }
  // Outlives main(), as the source does where nobody stops it.
  struct Listed {
    std::promise<void> promise;
    bool told = false;
  };
  static auto* const listed = new Listed;
  (*source)->start([](const objects::ObjectBatch& batch) {
    if (batch.synced && !listed->told) listed->promise.set_value();
    listed->told = listed->told || batch.synced;
  });
  if (mode == "synced" || mode == "stopped" || mode == "busy") listed->promise.get_future().wait();
  while (stuck && !looking_up) std::this_thread::yield();
  std::puts("ready");
  std::fflush(stdout);
  if (mode == "busy") kube::post([] { ::pause(); });
  if (mode == "stopped" || mode == "busy") (*source)->stop();
  if (mode == "busy") return kube::leave(0);
  if (mode != "synced") return 0;
  // Nobody stops it: the pool ends with watches under way.
  static kube::ApiServerSource* const left = source->release();
  return left == nullptr ? 1 : 0;
}
