#include "engine/run/scripts/script_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "engine/base/unique_fd.h"

using namespace std::chrono_literals;
using namespace vipkeeper;
using namespace vipkeeper::run;

namespace {

// Results as they come, waited for by condition.
class Results {
 public:
  void add(ScriptResult result) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(result));
    more_.notify_all();
  }
  ScriptResult next() {
    std::unique_lock lock(mutex_);
    REQUIRE(more_.wait_for(lock, 20s, [this] { return !waiting_.empty(); }));
    auto result = std::move(waiting_.front());
    waiting_.pop_front();
    return result;
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<ScriptResult> waiting_;
};

class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "vipkeeper-scripts-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string script(const std::string& name, const std::string& body) const {
    std::ofstream(file(name)) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(file(name), std::filesystem::perms::owner_all);
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

// Open for reading; tells when the last process that had it open for writing has ended.
class Fifo {
 public:
  explicit Fifo(const std::string& path) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(fd_);
  }
  bool closed_within(std::chrono::milliseconds limit) const {
    pollfd waiting{fd_.get(), POLLIN, 0};
    return ::poll(&waiting, 1, static_cast<int>(limit.count())) == 1 && (waiting.revents & POLLHUP) != 0;
  }

 private:
  UniqueFd fd_;
};

std::string content(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Until `wanted` is what the file holds; the last content otherwise.
std::string wait_for_content(const std::string& path, const std::string& wanted) {
  const auto deadline = Clock::now() + 20s;
  while (content(path) != wanted && Clock::now() < deadline) std::this_thread::yield();
  return content(path);
}

std::shared_ptr<config::VrrpScript> script(const std::string& command, Duration interval = 1h) {
  auto result = std::make_shared<config::VrrpScript>();
  result->name = "chk";
  result->command = command;
  result->interval = interval;
  return result;
}

std::shared_ptr<const VrrpConfig> tracking(std::shared_ptr<const config::VrrpScript> script) {
  auto instance = std::make_shared<config::VrrpInstance>();
  instance->name = "vips";
  instance->track_scripts.push_back({script->name, 0, false});
  auto config = std::make_shared<VrrpConfig>();
  config->instances.push_back(std::move(instance));
  config->scripts.push_back(std::move(script));
  return config;
}

std::unique_ptr<ScriptRunner> runner_into(Results& results) {
  return ScriptRunner::create({.on_result = [&](ScriptResult result) { results.add(std::move(result)); }});
}

NotifyEvent event(const std::string& instance, const std::string& state, config::NotifyScripts scripts) {
  auto config = std::make_shared<config::VrrpInstance>();
  config->name = instance;
  config->notify = std::move(scripts);
  return {config, state, 100};
}

// As long as it lives this process opens no more descriptors, so it starts no child either.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

std::vector<status::Problem> wait_for_problem(const ScriptRunner& runner) {
  const auto deadline = Clock::now() + 20s;
  while (runner.problems().empty() && Clock::now() < deadline) std::this_thread::yield();
  return runner.problems();
}

// Until the runner has taken in the events given so far: those of another instance are behind them.
void wait_until_taken(ScriptRunner& runner, const Directory& directory) {
  const auto any = directory.script("taken", "echo taken > " + directory.file("is-taken"));
  runner.notify(event("another", "MASTER", {.any = any, .master = {}, .backup = {}, .fault = {}, .stop = {}}));
  CHECK(wait_for_content(directory.file("is-taken"), "taken\n") == "taken\n");
}

std::size_t thread_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

}  // namespace

TEST_CASE("the exit status of a check script is its result", "[run][script]") {
  struct Row {
    const char* command;
    bool success;
    const char* detail;
  };
  const Row rows[] = {{"/bin/true", true, "exited with status 0"},
                      {"/bin/false", false, "exited with status 1"},
                      {"true", true, "exited with status 0"},
                      {"exit 7; true", false, "exited with status 7"},
                      {"test a = a && test b != c", true, "exited with status 0"},
                      {"kill -9 $$", false, "killed by signal 9"}};
  for (const auto& row : rows) {
    INFO(row.command);
    Results results;
    const auto runner = runner_into(results);
    runner->apply(tracking(script(row.command)));
    const auto result = results.next();
    CHECK(result.script == "chk");
    CHECK(result.success == row.success);
    CHECK(result.detail == row.detail);
    CHECK_FALSE(result.timed_out);
  }
}

TEST_CASE("a check script that cannot be run is a failure that names it", "[run][script]") {
  struct Row {
    const char* command;
    const char* user;
    const char* named;
  };
  const Row rows[] = {{"/no/such/script", "", "cannot run '/no/such/script': No such file or directory"},
                      {"no-such-command-anywhere", "", "'no-such-command-anywhere' is not in PATH"},
                      {"/etc/passwd", "", "cannot run '/etc/passwd': Permission denied"},
                      {"/bin/true", "no-such-user", "user 'no-such-user' does not exist on this host"},
                      {"", "", "the command is empty"}};
  for (const auto& row : rows) {
    INFO(row.command);
    Results results;
    const auto runner = runner_into(results);
    const auto check = script(row.command);
    check->user = row.user;
    runner->apply(tracking(check));
    const auto result = results.next();
    CHECK_FALSE(result.success);
    CHECK(result.detail == row.named);
  }
}

TEST_CASE("a script without a line that names its interpreter is run by a shell, with its arguments", "[run][script]") {
  struct Row {
    const char* content;
    const char* arguments;
    bool success;
  };
  const Row rows[] = {{"# from a guide\n\nexit 0\n", "", true},
                      {"exit 3\n", "", false},
                      {"[ \"$1\" = \"a b\" ] && [ $# = 2 ]\n", " 'a b' c", true},
                      {"", "", true}};
  for (const auto& row : rows) {
    INFO(row.content);
    const Directory directory;
    std::ofstream(directory.file("chk.sh")) << row.content;
    std::filesystem::permissions(directory.file("chk.sh"), std::filesystem::perms::owner_all);
    Results results;
    const auto runner = runner_into(results);
    runner->apply(tracking(script(directory.file("chk.sh") + row.arguments)));
    CHECK(results.next().success == row.success);
  }
}

TEST_CASE("that this host can start no process is no result of a check, and a problem for as long as it is so",
          "[run][script][shortage]") {
  Results results;
  const auto runner = runner_into(results);
  runner->apply(tracking(script("/bin/true")));
  CHECK(results.next().success);
  std::vector<status::Problem> problems;
  {
    // Nothing is checked in here: a sanitizer, too, needs a descriptor now and then.
    const NoDescriptors none;
    runner->apply(tracking(script("true")));
    problems = wait_for_problem(*runner);
  }
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].object == "vrrp_script chk");
  CHECK_THAT(problems[0].message, Catch::Contains("Too many open files") && Catch::Contains("last result stands"));
  CHECK(results.next().success);
  CHECK(runner->problems().empty());
}

TEST_CASE("the user of a script is not taken for missing while it cannot be looked up", "[run][script][shortage]") {
  Results results;
  const auto runner = runner_into(results);
  runner->apply(tracking(script("/bin/true")));
  CHECK(results.next().success);
  const auto check = script("true");
  check->user = "no-such-user";
  std::vector<status::Problem> problems;
  {
    const NoDescriptors none;
    runner->apply(tracking(check));
    problems = wait_for_problem(*runner);
  }
  CHECK(problems.size() == 1);
  CHECK_FALSE(results.next().success);
}

TEST_CASE("with enable_script_security root runs nothing that others could replace", "[run][script][security]") {
  Results results;
  const Directory directory;
  const auto mark = directory.file("mark");
  const auto check = script(directory.script("chk", "echo run > " + mark));
  std::filesystem::permissions(directory.file(""), std::filesystem::perms::all);
  check->user = "root";
  auto config = std::make_shared<VrrpConfig>(*tracking(check));
  config->globals.enable_script_security = true;
  const auto runner = runner_into(results);
  runner->apply(config);
  const auto problems = wait_for_problem(*runner);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].object == "vrrp_script chk");
  CHECK_THAT(problems[0].message, Catch::Contains("is not run") && Catch::Contains("enable_script_security"));
  // No result: the next is that of the script that takes its place.
  runner->apply(tracking(script("/bin/true")));
  CHECK(results.next().success);
  CHECK(runner->problems().empty());
  CHECK(content(mark).empty());
}

TEST_CASE("a check script runs again each interval", "[run][script]") {
  Results results;
  const auto runner = runner_into(results);
  const auto begin = Clock::now();
  runner->apply(tracking(script("/bin/true", 20ms)));
  for (int i = 0; i < 4; ++i) CHECK(results.next().success);
  CHECK(Clock::now() - begin >= 60ms);
}

TEST_CASE("a check script over its timeout has failed, and its whole group is ended", "[run][script]") {
  Results results;
  const Directory directory;
  const Fifo alive(directory.file("alive"));
  const auto runner = runner_into(results);
  const auto check = script("exec 9> " + directory.file("alive") + "; sleep 1000 & wait");
  check->timeout = 300ms;
  runner->apply(tracking(check));
  const auto result = results.next();
  CHECK_FALSE(result.success);
  CHECK(result.timed_out);
  CHECK(alive.closed_within(20s));
}

TEST_CASE("a check script that ignores SIGTERM is killed", "[run][script]") {
  Results results;
  const Directory directory;
  const Fifo alive(directory.file("alive"));
  const auto runner = runner_into(results);
  const auto check = script("trap '' TERM; exec 9> " + directory.file("alive") + "; while :; do sleep 1000; done");
  check->timeout = 300ms;
  runner->apply(tracking(check));
  CHECK(results.next().timed_out);
  CHECK(alive.closed_within(20s));
}

TEST_CASE("a script that nobody tracks is not run, and without work there is no thread", "[run][script]") {
  Results results;
  const auto before = thread_count();
  const auto runner = runner_into(results);
  auto config = std::make_shared<VrrpConfig>();
  config->scripts.push_back(script("/bin/true"));
  runner->apply(config);
  runner->notify(event("vips", "MASTER", {}));
  CHECK(thread_count() == before);
}

TEST_CASE("a changed script is run at once, one that stays keeps its schedule", "[run][script]") {
  Results results;
  const auto runner = runner_into(results);
  runner->apply(tracking(script("/bin/true")));
  CHECK(results.next().success);
  runner->apply(tracking(script("/bin/true")));
  runner->apply(tracking(script("/bin/false")));
  CHECK_FALSE(results.next().success);
}

TEST_CASE("a script that a reload removes gives no result any more", "[run][script]") {
  Results results;
  const Directory directory;
  const auto runner = runner_into(results);
  runner->apply(tracking(script("echo x > " + directory.file("began") + "; sleep 1000")));
  CHECK(wait_for_content(directory.file("began"), "x\n") == "x\n");
  const auto other = script("/bin/true");
  other->name = "other";
  runner->apply(tracking(other));
  CHECK(results.next().script == "other");
}

TEST_CASE("notify scripts run one after the other: the state's own, then the general one with its arguments",
          "[run][script][notify]") {
  const Directory directory;
  const auto log = directory.file("log");
  const auto slow = directory.script("master", "sleep 0.2; echo master >> " + log);
  const auto any = directory.script("any", "echo \"$@\" >> " + log);
  const auto runner = ScriptRunner::create({});
  const config::NotifyScripts scripts{.any = any, .master = slow, .backup = {}, .fault = {}, .stop = {}};
  runner->notify(event("VI 1", "MASTER", scripts));
  runner->notify(event("VI 1", "BACKUP", scripts));
  const std::string expected = "master\nINSTANCE VI 1 MASTER 100\nINSTANCE VI 1 BACKUP 100\n";
  CHECK(wait_for_content(log, expected) == expected);
}

TEST_CASE("of the states that come while a notify script runs only the last is told, and it is",
          "[run][script][notify]") {
  const Directory directory;
  const auto log = directory.file("log");
  const auto gate = directory.file("gate");
  const auto any =
      directory.script("any", "echo \"$3\" >> " + log + "; while [ ! -e " + gate + " ]; do sleep 0.01; done");
  const auto runner = ScriptRunner::create({});
  const config::NotifyScripts scripts{.any = any, .master = {}, .backup = {}, .fault = {}, .stop = {}};
  runner->notify(event("vips", "MASTER", scripts));
  CHECK(wait_for_content(log, "MASTER\n") == "MASTER\n");
  for (int i = 0; i < 1000; ++i) runner->notify(event("vips", i % 2 == 0 ? "BACKUP" : "MASTER", scripts));
  runner->notify(event("vips", "FAULT", scripts));
  wait_until_taken(*runner, directory);
  std::ofstream(gate).flush();
  CHECK(wait_for_content(log, "MASTER\nFAULT\n") == "MASTER\nFAULT\n");
  runner->notify(event("vips", "STOP", scripts));
  runner->stop();
  CHECK(content(log) == "MASTER\nFAULT\nSTOP\n");
}

TEST_CASE("a state that has passed is not told because the one after it has no script", "[run][script][notify]") {
  const Directory directory;
  const auto log = directory.file("log");
  const auto gate = directory.file("gate");
  const auto master =
      directory.script("master", "echo MASTER >> " + log + "; while [ ! -e " + gate + " ]; do sleep 0.01; done");
  const auto runner = ScriptRunner::create({});
  const config::NotifyScripts scripts{.any = {}, .master = master, .backup = {}, .fault = {}, .stop = {}};
  for (const char* state : {"MASTER", "BACKUP", "MASTER", "BACKUP"}) {
    runner->notify(event("vips", state, scripts));
    CHECK(wait_for_content(log, "MASTER\n") == "MASTER\n");
  }
  wait_until_taken(*runner, directory);
  std::ofstream(gate).flush();
  runner->stop();
  CHECK(content(log) == "MASTER\n");
}

TEST_CASE("a state that could not be told for want of a process is told when there is one", "[run][script][notify]") {
  const Directory directory;
  const auto log = directory.file("log");
  const auto any = directory.script("any", "echo \"$3\" >> " + log);
  const auto runner = ScriptRunner::create({});
  const config::NotifyScripts scripts{.any = any, .master = {}, .backup = {}, .fault = {}, .stop = {}};
  runner->notify(event("vips", "INIT", scripts));
  CHECK(wait_for_content(log, "INIT\n") == "INIT\n");
  std::vector<status::Problem> problems;
  {
    const NoDescriptors none;
    runner->notify(event("vips", "MASTER", scripts));
    problems = wait_for_problem(*runner);
    runner->notify(event("vips", "BACKUP", scripts));
  }
  REQUIRE(problems.size() == 1);
  CHECK_THAT(problems[0].object, Catch::Contains(any) && Catch::Contains("vips"));
  CHECK(wait_for_content(log, "INIT\nBACKUP\n") == "INIT\nBACKUP\n");
  runner->stop();
  CHECK(content(log) == "INIT\nBACKUP\n");
  CHECK(runner->problems().empty());
}

TEST_CASE("a notify script that hangs does not hold another instance's", "[run][script][notify]") {
  const Directory directory;
  const auto runner = ScriptRunner::create({});
  const Fifo alive(directory.file("alive"));
  const auto hangs = directory.script("hangs", "exec 9> " + directory.file("alive") + "; sleep 1000");
  runner->notify(event("stuck", "MASTER", {.any = hangs, .master = {}, .backup = {}, .fault = {}, .stop = {}}));
  const auto any = directory.script("any", "echo done > " + directory.file("log"));
  runner->notify(event("other", "MASTER", {.any = any, .master = {}, .backup = {}, .fault = {}, .stop = {}}));
  CHECK(wait_for_content(directory.file("log"), "done\n") == "done\n");
  CHECK_FALSE(alive.closed_within(0s));
  runner->stop();
  CHECK(alive.closed_within(20s));
}

TEST_CASE("stop lets the notify scripts of events already given run", "[run][script][notify]") {
  const Directory directory;
  const auto runner = ScriptRunner::create({});
  const auto any = directory.script("any", "sleep 0.1; echo \"$3\" > " + directory.file("log"));
  runner->notify(event("vips", "STOP", {.any = any, .master = {}, .backup = {}, .fault = {}, .stop = {}}));
  runner->stop();
  CHECK(content(directory.file("log")) == "STOP\n");
}

TEST_CASE("the state file holds the state word of instance vips, without a newline", "[run][script][state-file]") {
  const Directory directory;
  const auto path = directory.file("keepalived.state");
  const auto runner = ScriptRunner::create({.state_file = path});
  runner->notify(event("other", "FAULT", {}));
  runner->notify(event("vips", "BACKUP", {}));
  CHECK(wait_for_content(path, "BACKUP") == "BACKUP");
  runner->notify(event("vips", "MASTER", {}));
  runner->stop();
  CHECK(content(path) == "MASTER");
}

TEST_CASE("scripts inherit neither descriptors nor ignored signals", "[run][script]") {
  Results results;
  const Directory directory;
  const UniqueFd leaked(::fcntl(0, F_DUPFD, 100));  // without CLOEXEC, as a careless library has it
  const auto runner = runner_into(results);
  runner->apply(tracking(script("grep SigIgn /proc/$$/status > " + directory.file("signals") + "; [ ! -L /proc/$$/fd/" +
                                std::to_string(leaked.get()) + " ]")));
  CHECK(results.next().success);
  const std::string ignored = content(directory.file("signals"));
  REQUIRE(ignored.starts_with("SigIgn:\t"));
  // 32 and 33 are the C library's own, which no program can set; whoever started this one may have ignored them.
  constexpr unsigned long long c_library = 0b11ULL << 31U;
  CHECK((std::stoull(ignored.substr(8), nullptr, 16) & ~c_library) == 0);
}
