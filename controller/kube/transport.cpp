// The only file that speaks to cpprestsdk's client (loop.cpp knows its thread pool). What the library gets wrong is
// kept in here; each point was measured with libcpprest 2.10.18, Boost 1.74, OpenSSL 3.0.
//
// - One pool thread (loop.cpp), and every call into the library from that thread: its close() races with reads and
// writes
//   otherwise. Nothing in here waits for a task.
// - Bodies come through a stream buffer of our own: the library's readers are slow (read_line), or wait until a block
// is
//   full (getn), which a watch never is. A count beyond all sense (a chunk size of -1 becomes SIZE_MAX) ends the
//   exchange.
// - The bytes of a body may come before the continuation that learns the status has run: they wait for it.
// - Every chain of tasks ends in a continuation that looks at the exception: an unobserved one kills the process.
// - set_timeout is a limit on silence, not on the whole, and there is none for connecting: a timer of our own and
// cancel.
// - Redirects are never followed: the library sends the credentials along.
// - A client of its own for watches (long silence is normal) and for the rest. A probe gets one, so that it connects
// anew.
// - Keepalive and TCP_USER_TIMEOUT find a peer that is gone while nothing is sent; the limit on silence finds one that
// is
//   frozen, since its kernel still acknowledges. The socket is opened early, because options cannot be set later.
// - Certificates, server name and SNI are tls.cpp's business; the Host header is always given, in the form of RFC 9112.
// - IPv6 literals go into the URI without brackets: with them they are looked up as names.
// - A server known by its name is looked up by us, so that sockets can be opened early, and that of several addresses
// the
//   next one gets its turn after a failure. getaddrinfo can neither be timed nor cancelled: it runs in the resolver's
//   thread, and an exchange that gives up leaves it behind.
// - Never compressed: on a compressed watch the library silently loses events.

#include "controller/kube/transport.h"

#include <utility>  // first: Boost 1.74's asio forgets it

#define _TURN_OFF_PLATFORM_STRING  // a macro U would break fmt
#include <cpprest/http_client.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include <charconv>
#include <deque>
#include <stdexcept>

#include "controller/kube/loop.h"
#include "controller/kube/tls.h"
#include "engine/base/ip_address.h"

namespace vipkeeper::kube {

namespace {

using boost::asio::ip::tcp;
using web::http::client::http_client;
using web::http::client::http_client_config;

constexpr std::size_t longest_block = 256 * 1024 * 1024;

// Dead peers are found about 11 s after the last answer.
constexpr int keepalive_idle_s = 5;
constexpr int keepalive_interval_s = 2;
constexpr int keepalive_probes = 3;
constexpr unsigned user_timeout_ms = 10'000;

void set_socket_options(int fd) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_idle_s, sizeof keepalive_idle_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_interval_s, sizeof keepalive_interval_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &keepalive_probes, sizeof keepalive_probes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

// The library's stream buffer as a callback; write-only.
class CallbackBuffer final : public Concurrency::streams::details::streambuf_state_manager<std::uint8_t> {
  using Base = Concurrency::streams::details::streambuf_state_manager<std::uint8_t>;

 public:
  using Take = std::function<bool(std::string_view)>;
  explicit CallbackBuffer(Take take) : Base(std::ios_base::out), take_(std::move(take)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return eof_position(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return eof_position(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override { return eof_position(); }
  bool acquire(std::uint8_t*& pointer, std::size_t& count) override {
    pointer = nullptr;
    count = 0;
    return false;
  }
  void release(std::uint8_t*, std::size_t) override {}

  // The library writes with this one only. The base's own waits for another task when one fails, which on a pool of one
  // thread is for ever.
  pplx::task<std::size_t> putn_nocopy(const std::uint8_t* bytes, std::size_t count) override {
    // uint8_t and char are the same bytes.
    if (count <= longest_block && take_({reinterpret_cast<const char*>(bytes), count})) {
      return pplx::task_from_result<std::size_t>(count);
    }
    // Any number would be taken for success, or for a reason to try again at once.
    return pplx::task_from_exception<std::size_t>(std::length_error("the body is not wanted"));
  }

 protected:
  pplx::task<std::size_t> _putn(const std::uint8_t* bytes, std::size_t count) override {
    return putn_nocopy(bytes, count);
  }
  pplx::task<int_type> _putc(std::uint8_t byte) override {
    return _putn(&byte, 1).then([byte](std::size_t) { return static_cast<int_type>(byte); });
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  std::uint8_t* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}

  pplx::task<int_type> _bumpc() override { return no_byte(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return no_byte(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return no_byte(); }
  pplx::task<int_type> _ungetc() override { return no_byte(); }
  pplx::task<std::size_t> _getn(std::uint8_t*, std::size_t) override { return pplx::task_from_result<std::size_t>(0); }
  std::size_t _scopy(std::uint8_t*, std::size_t) override { return 0; }

 private:
  static pos_type eof_position() { return static_cast<pos_type>(traits::eof()); }
  static pplx::task<int_type> no_byte() { return pplx::task_from_result<int_type>(traits::eof()); }

  Take take_;
};

class HttpExchange final : public Exchange, public std::enable_shared_from_this<HttpExchange> {
 public:
  HttpExchange(Transport::Listener listener, std::shared_ptr<TlsSettings> tls)
      : listener_(std::move(listener)), tls_(std::move(tls)) {}

  void limit(Duration within) {
    timer_.start(within, [weak = weak_from_this(), within] {
      const auto self = weak.lock();
      if (!self || self->responded_) return;
      self->end(fmt::format("no answer within {:.1f} s", std::chrono::duration<double>(within).count()));
    });
  }

  void run(http_client& client, web::http::http_request request) {
    if (ended_) return;
    const auto self = shared_from_this();
    auto buffer = std::make_shared<CallbackBuffer>([self](std::string_view bytes) { return self->receive(bytes); });
    request.set_response_stream(
        Concurrency::streams::streambuf<std::uint8_t>(
            std::static_pointer_cast<Concurrency::streams::details::basic_streambuf<std::uint8_t>>(buffer))
            .create_ostream());
    client.request(std::move(request), cancellation_.get_token())
        .then([self](const pplx::task<web::http::http_response>& answer) {
          try {
            const web::http::http_response response = answer.get();
            self->respond(response);
            return response.content_ready();
          } catch (const std::exception& error) {
            self->end(self->describe(error));
          }
          return pplx::task_from_result(web::http::http_response());
        })
        .then([self](const pplx::task<web::http::http_response>& whole) {
          try {
            whole.wait();
            self->end(std::nullopt);
          } catch (const std::exception& error) {
            self->end(self->describe(error));
          }
        });
  }

  void cancel() override {
    ended_ = true;
    close();
  }

  void end(std::optional<std::string> failure) {
    if (ended_) return;
    ended_ = true;
    tell(Ended{std::move(failure)});
    close();
  }

 private:
  // The library's cancel runs its callbacks here and now; the exchange may be inside one of them.
  void close() {
    timer_.stop();
    post([self = shared_from_this()] {
      self->listener_ = nullptr;
      self->cancellation_.cancel();
    });
  }

  void respond(const web::http::http_response& response) {
    if (ended_) return;
    responded_ = true;
    timer_.stop();
    Responded event{response.status_code(), {}};
    const auto retry_after = response.headers().find("Retry-After");
    if (retry_after != response.headers().end()) {
      const std::string& text = retry_after->second;
      int seconds = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
      if (error == std::errc() && end == text.data() + text.size() && seconds >= 0) {
        event.retry_after = std::chrono::seconds(seconds);
      }
    }
    tell(event);
    const std::string early = std::exchange(early_, {});
    if (!early.empty() && !ended_) tell(Received{early});
  }

  bool receive(std::string_view bytes) {
    if (ended_) return false;
    if (responded_) {
      tell(Received{bytes});
    } else {
      early_.append(bytes);
    }
    return !ended_;
  }

  // A copy of the listener, because what it does may end this exchange.
  void tell(const Event& event) {
    const auto listener = listener_;
    if (listener) listener(event);
  }

  // The library's error codes mislead ("No such file or directory" for a connection that was reset): its text alone.
  [[nodiscard]] std::string describe(const std::exception& error) const {
    std::string text = error.what();
    if (tls_ && !tls_->refusal().empty()) text += ": " + tls_->refusal();
    return text;
  }

  Transport::Listener listener_;
  std::shared_ptr<TlsSettings> tls_;
  pplx::cancellation_token_source cancellation_;
  Timer timer_;
  std::string early_;
  bool responded_ = false;
  bool ended_ = false;
};

}  // namespace

// Outlives the transport while a name is being looked up.
class Transport::Clients : public std::enable_shared_from_this<Transport::Clients> {
 public:
  Clients(ClusterAccess access, TransportOptions options)
      : access_(std::move(access)), options_(options), is_literal_(IpAddress::parse(access_.host)), tokens_(access_) {
    if (access_.https) tls_ = std::make_shared<TlsSettings>(access_);
  }

  std::shared_ptr<Exchange> get(const Request& request, Listener listener) {
    auto exchange = std::make_shared<HttpExchange>(std::move(listener), tls_);
    exchange->limit(request.watch ? options_.watch_answer_within : options_.answer_within);
    with_address(
        [this, exchange, request] {
          auto& client = request.watch ? watch_client_ : client_;
          if (!client) client = make_client(request.watch ? options_.watch_silence : options_.silence);
          send(*exchange, *client, request.target);
        },
        exchange);
    return exchange;
  }

  std::shared_ptr<Exchange> probe(const std::string& target, Duration within, Listener listener) {
    auto exchange = std::make_shared<HttpExchange>(std::move(listener), tls_);
    exchange->limit(within);
    with_address([this, exchange, target] { send(*exchange, *make_client(options_.silence), target); }, exchange);
    return exchange;
  }

  void reset() {
    client_.reset();
    watch_client_.reset();
    if (!addresses_.empty()) addresses_.pop_front();
  }
  void refuse_token() { tokens_.refused(); }

 private:
  [[nodiscard]] bool knows_address() const { return is_literal_ || !access_.proxy.empty() || !addresses_.empty(); }

  // Runs `then` once an address is known; the exchange ends if none is found. Never before the caller has its exchange.
  void with_address(std::function<void()> then, std::shared_ptr<HttpExchange> exchange) {
    post([self = shared_from_this(), then = std::move(then), exchange = std::move(exchange)] {
      if (self->knows_address()) {
        then();
        return;
      }
      self->waiting_.push_back({then, exchange});
      if (self->waiting_.size() == 1) self->look_up();
    });
  }

  void look_up() {
    resolver_.async_resolve(
        access_.host, std::to_string(access_.port),
        [self = shared_from_this()](const boost::system::error_code& error, const tcp::resolver::results_type& found) {
          for (const auto& one : found) self->addresses_.push_back(one.endpoint().address().to_string());
          for (auto& [go, exchange] : std::exchange(self->waiting_, {})) {
            if (!self->addresses_.empty()) {
              self->with_address(std::move(go), std::move(exchange));
            } else {
              exchange->end(fmt::format("{} cannot be looked up: {}", self->access_.host, error.message()));
            }
          }
        });
  }

  void send(HttpExchange& exchange, http_client& client, const std::string& target) {
    const auto authorization = this->authorization();
    if (!authorization) {
      exchange.end(authorization.error().message);
      return;
    }
    try {
      web::http::http_request request(web::http::methods::GET);
      request.set_request_uri(web::uri(access_.prefix + target));
      request.headers().add("Accept", "application/json");
      request.headers().add("User-Agent", "vipkeeper");
      request.headers().add("Host", host_header());
      if (!authorization->empty()) request.headers().add("Authorization", *authorization);
      if (tls_) tls_->clear_refusal();
      exchange.run(client, std::move(request));
    } catch (const std::exception& error) {
      exchange.end(error.what());
    }
  }

  [[nodiscard]] std::string host_header() const {
    const auto address = IpAddress::parse(access_.host);
    const std::string host = address && !address->is_v4() ? "[" + access_.host + "]" : access_.host;
    return access_.port == (access_.https ? 443 : 80) ? host : fmt::format("{}:{}", host, access_.port);
  }

  Result<std::string> authorization() {
    auto token = tokens_.token(Clock::now());
    if (!token) return token;
    if (!token->empty()) return "Bearer " + *token;
    if (!access_.user.empty()) return "Basic " + encode_base64(access_.user + ":" + access_.password);
    return std::string();
  }

  std::shared_ptr<http_client> make_client(Duration silence) {
    http_client_config config;
    config.set_timeout(std::chrono::duration_cast<std::chrono::microseconds>(silence));
    config.set_max_redirects(0);
    config.set_chunksize(4096);  // for bodies that are not chunked: told at the latest after so many bytes
    config.set_validate_certificates(!access_.insecure);
    config.set_tlsext_sni_enabled(false);
    if (tls_) {
      config.set_ssl_context_callback([tls = tls_](boost::asio::ssl::context& context) {
        if (auto applied = tls->apply(context.native_handle()); !applied)
          throw std::runtime_error(applied.error().message);
      });
    }
    std::string host = access_.host;
    if (!access_.proxy.empty()) {
      config.set_proxy(web::web_proxy(web::uri(access_.proxy)));
    } else {
      if (!is_literal_) host = addresses_.front();
      config.set_nativehandle_options([https = access_.https, ipv6 = !IpAddress::parse(host)->is_v4()](void* handle) {
        tcp::socket& socket = https ? static_cast<boost::asio::ssl::stream<tcp::socket&>*>(handle)->next_layer()
                                    : *static_cast<tcp::socket*>(handle);
        if (!socket.is_open()) socket.open(ipv6 ? tcp::v6() : tcp::v4());
        set_socket_options(socket.native_handle());
      });
    }
    web::uri_builder uri;
    uri.set_scheme(access_.https ? "https" : "http").set_host(host).set_port(access_.port);
    return std::make_shared<http_client>(uri.to_uri(), config);
  }

  struct Waiter {
    std::function<void()> go;
    std::shared_ptr<HttpExchange> exchange;
  };

  ClusterAccess access_;
  TransportOptions options_;
  bool is_literal_;  // the host is an address
  TokenSource tokens_;
  std::shared_ptr<TlsSettings> tls_;
  std::shared_ptr<http_client> client_;
  std::shared_ptr<http_client> watch_client_;
  std::deque<std::string> addresses_;
  std::vector<Waiter> waiting_;
  tcp::resolver resolver_{crossplat::threadpool::shared_instance().service()};
};

Transport::Transport(ClusterAccess access, TransportOptions options)
    : clients_(std::make_shared<Clients>(std::move(access), options)) {}
Transport::~Transport() = default;

std::shared_ptr<Exchange> Transport::get(const Request& request, Listener listener) {
  return clients_->get(request, std::move(listener));
}
std::shared_ptr<Exchange> Transport::probe(const std::string& target, Duration within, Listener listener) {
  return clients_->probe(target, within, std::move(listener));
}
void Transport::reset() { clients_->reset(); }
void Transport::refuse_token() { clients_->refuse_token(); }

}  // namespace vipkeeper::kube
