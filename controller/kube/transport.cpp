// The only file that speaks to cpprestsdk's client (loop.cpp knows its thread pool, callback_buffer.h its streams).
// What the library gets wrong is kept in here; each point was measured with libcpprest 2.10.18, Boost 1.74,
// OpenSSL 3.0.
//
// - One pool thread (loop.cpp), and every call into the library from that thread: its close() races with reads and
//   writes otherwise. Nothing in here waits for a task.
// - Bodies come through a stream buffer of our own: the library's readers are slow (read_line), or wait until a block
//   is full (getn), which a watch never is. A count beyond all sense (a chunk size of -1 becomes SIZE_MAX) ends the
//   exchange.
// - The bytes of a body may come before the continuation that learns the status has run: they wait for it.
// - On a kept connection that has died the library repeats a request while it reads, but not where the writing of a
//   body fails ("Broken pipe"): write() repeats that on a new client.
// - Every chain of tasks ends in a continuation that looks at the exception: an unobserved one kills the process.
// - set_timeout is a limit on silence, not on the whole, and there is none for connecting: a timer of our own, and
//   cancel.
// - Redirects are never followed: the library sends the credentials along.
// - A client of its own for watches (long silence is normal) and for the rest. A probe gets one, so that it connects
//   anew.
// - Keepalive and TCP_USER_TIMEOUT find a peer that is gone while nothing is sent; the limit on silence finds one that
//   is frozen, since its kernel still acknowledges. The socket is opened early, because options cannot be set later.
// - Certificates, server name and SNI are tls.cpp's business; the Host header is always given, in the form of RFC 9112.
// - IPv6 literals go into the URI without brackets: with them they are looked up as names.
// - Certificates that were replaced in their files get new clients: pooled connections know the old ones.
// - A server known by its name is looked up by us, so that sockets can be opened early, and that of several addresses
//   the next one gets its turn after a failure. An exchange that gives up leaves the look-up behind (loop.h).
// - Never compressed: on a compressed watch the library silently loses events.

#include "controller/kube/transport.h"

#include <utility>  // first: Boost 1.74's asio forgets it

#define _TURN_OFF_PLATFORM_STRING  // a macro U would break fmt
#include <cpprest/http_client.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <charconv>
#include <deque>
#include <stdexcept>
#include <vector>

#include "controller/kube/callback_buffer.h"
#include "controller/kube/loop.h"
#include "controller/kube/tls.h"
#include "engine/base/ip_address.h"

namespace vipkeeper::kube {

namespace {

using boost::asio::ip::tcp;
using web::http::client::http_client;
using web::http::client::http_client_config;

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

class HttpExchange final : public Exchange, public std::enable_shared_from_this<HttpExchange> {
 public:
  HttpExchange(Transport::Listener listener, std::shared_ptr<TlsSettings> tls, std::shared_ptr<const void> clients)
      : listener_(std::move(listener)), tls_(std::move(tls)), clients_(std::move(clients)) {}

  void limit(Duration within) {
    timer_.start(within, [weak = weak_from_this(), within] {
      const auto self = weak.lock();
      if (!self || self->responded_) return;
      self->end(fmt::format("no answer within {:.1f} s", std::chrono::duration<double>(within).count()));
    });
  }

  // What to do, once, instead of ending for a failure before any answer.
  void retry_by(std::function<void()> again) { again_ = std::move(again); }

  void run(http_client& client, web::http::http_request request) {
    if (ended_) return;
    const auto self = shared_from_this();
    const int attempt = attempt_;
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
            self->fail(self->describe(error));
          }
          return pplx::task_from_result(web::http::http_response());
        })
        .then([self, attempt](const pplx::task<web::http::http_response>& whole) {
          std::optional<std::string> failure;
          try {
            whole.wait();
          } catch (const std::exception& error) {
            failure = self->describe(error);
          }
          if (self->attempt_ == attempt) self->end(std::move(failure));
        });
  }

  void cancel() override {
    ended_ = true;
    close();
  }

  [[nodiscard]] bool ended() const { return ended_; }

  // Without an answer.
  void fail(std::string failure) {
    if (ended_ || !again_) return end(std::move(failure));
    ++attempt_;
    early_.clear();
    std::exchange(again_, nullptr)();
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
      self->again_ = nullptr;
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
  std::shared_ptr<const void> clients_;  // that are not gone before the last exchange is
  pplx::cancellation_token_source cancellation_;
  Timer timer_;
  std::function<void()> again_;
  int attempt_ = 0;
  std::string early_;
  bool responded_ = false;
  bool ended_ = false;
};

}  // namespace

// Outlives the transport while the last exchange ends.
class Transport::Clients : public std::enable_shared_from_this<Transport::Clients> {
 public:
  Clients(ClusterAccess access, TransportOptions options)
      : access_(std::move(access)),
        options_(options),
        peer_host_(access_.proxy_host.empty() ? access_.host : access_.proxy_host),
        is_literal_(IpAddress::parse(peer_host_)),
        tokens_(access_) {
    if (access_.https) tls_ = std::make_shared<TlsSettings>(access_);
  }

  std::shared_ptr<Exchange> get(const Request& request, Listener listener) {
    auto exchange = exchange_for(std::move(listener));
    exchange->limit(request.watch ? std::min(options_.watch_answer_within * request.patience, options_.watch_silence)
                                  : options_.answer_within);
    with_address(
        [this, exchange, request] {
          choose_clients();
          auto& client = request.watch ? watch_client_ : client_;
          if (!client) client = make_client(request.watch ? options_.watch_silence : options_.silence);
          send(*exchange, *client, request);
        },
        exchange);
    return exchange;
  }

  std::shared_ptr<Exchange> write(const Request& request, Listener listener) {
    auto exchange = exchange_for(std::move(listener));
    exchange->limit(options_.answer_within);
    with_address(
        [this, exchange, request] {
          choose_clients();
          if (client_) {
            exchange->retry_by([self = shared_from_this(), exchange, request] {
              self->with_address([self, exchange, request] { self->send_anew(*exchange, request); }, exchange);
            });
            send(*exchange, *client_, request);
          } else {
            send_anew(*exchange, request);
          }
        },
        exchange);
    return exchange;
  }

  std::shared_ptr<Exchange> probe(const std::string& target, Duration within, Listener listener) {
    auto exchange = exchange_for(std::move(listener));
    exchange->limit(within);
    with_address([this, exchange, target] { send(*exchange, *make_client(options_.silence), {target}); }, exchange);
    return exchange;
  }

  void reset() {
    forget_clients();
    if (!addresses_.empty()) addresses_.pop_front();
  }
  void refuse_token() { tokens_.refused(); }
  // Nobody waits for an address any more.
  void close() { waiting_.clear(); }

 private:
  std::shared_ptr<HttpExchange> exchange_for(Listener listener) {
    return std::make_shared<HttpExchange>(std::move(listener), tls_, shared_from_this());
  }

  // Requests under way go on; the next ones connect anew.
  void forget_clients() {
    client_.reset();
    watch_client_.reset();
  }

  [[nodiscard]] bool tunnels() const { return !access_.proxy_host.empty(); }

  // Before each request. In a tunnel each has a client of its own: the library hands out the socket of a new
  // connection, and the TLS stream of a kept one, without saying which it is (make_client).
  void choose_clients() {
    if (tunnels() || (tls_ && tls_->replaced())) forget_clients();
  }

  [[nodiscard]] bool knows_address() const { return is_literal_ || !addresses_.empty(); }

  // Runs `then` once an address is known; the exchange ends if none is found. Never before the caller has its exchange,
  // and not for one that has ended: waiting, it would keep these clients and they would keep it.
  void with_address(std::function<void()> then, std::shared_ptr<HttpExchange> exchange) {
    post([self = shared_from_this(), then = std::move(then), exchange = std::move(exchange)] {
      if (exchange->ended()) return;
      if (self->knows_address()) {
        then();
        return;
      }
      self->waiting_.push_back({then, exchange});
      if (self->waiting_.size() == 1) self->look_up();
    });
  }

  void look_up() {
    kube::look_up(peer_host_, [weak = weak_from_this()](const Result<std::vector<std::string>>& found) {
      const auto self = weak.lock();
      if (!self) return;
      if (found) self->addresses_.assign(found->begin(), found->end());
      for (auto& [go, exchange] : std::exchange(self->waiting_, {})) {
        if (!self->addresses_.empty()) {
          self->with_address(std::move(go), std::move(exchange));
        } else {
          exchange->end(found ? self->peer_host_ + " has no address" : found.error().message);
        }
      }
    });
  }

  void send_anew(HttpExchange& exchange, const Request& request) {
    client_ = make_client(options_.silence);
    send(exchange, *client_, request);
  }

  void send(HttpExchange& exchange, http_client& client, const Request& asked) {
    const auto authorization = this->authorization();
    if (!authorization) {
      exchange.end(authorization.error().message);
      return;
    }
    try {
      web::http::http_request request(asked.method);
      request.set_request_uri(web::uri(access_.prefix + asked.target));
      if (!asked.body.empty()) {
        // As bytes: of a text the library makes a stream of char, which it then takes for one of bytes.
        request.set_body(std::vector<unsigned char>(asked.body.begin(), asked.body.end()));
        request.headers().set_content_type(asked.content_type);
      }
      request.headers().add("Accept", asked.accept);
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
    const std::string& address = is_literal_ ? peer_host_ : addresses_.front();
    const bool tunnel = tunnels();
    if (tunnel) config.set_proxy(web::web_proxy(uri_of("http", address, access_.proxy_port)));
    // In a tunnel TLS begins after the socket's options were set.
    const bool stream = access_.https && !tunnel;
    config.set_nativehandle_options([stream, ipv6 = !IpAddress::parse(address)->is_v4()](void* handle) {
      tcp::socket& socket = stream ? static_cast<boost::asio::ssl::stream<tcp::socket&>*>(handle)->next_layer()
                                   : *static_cast<tcp::socket*>(handle);
      if (!socket.is_open()) socket.open(ipv6 ? tcp::v6() : tcp::v4());
      set_socket_options(socket.native_handle());
    });
    return std::make_shared<http_client>(
        uri_of(access_.https ? "https" : "http", tunnel ? access_.host : address, access_.port), config);
  }

  // IPv6 addresses without brackets: with them the library looks them up as names.
  static web::uri uri_of(const std::string& scheme, const std::string& host, std::uint16_t port) {
    return web::uri_builder().set_scheme(scheme).set_host(host).set_port(port).to_uri();
  }

  struct Waiter {
    std::function<void()> go;
    std::shared_ptr<HttpExchange> exchange;
  };

  ClusterAccess access_;
  TransportOptions options_;
  const std::string peer_host_;  // to connect to: the server, or the proxy on the way to it
  const bool is_literal_;        // that is an address
  TokenSource tokens_;
  std::shared_ptr<TlsSettings> tls_;
  std::shared_ptr<http_client> client_;
  std::shared_ptr<http_client> watch_client_;
  std::deque<std::string> addresses_;
  std::vector<Waiter> waiting_;
};

Transport::Transport(ClusterAccess access, TransportOptions options) {
  auto gone = std::make_shared<std::promise<void>>();
  gone_ = gone->get_future().share();
  clients_ = std::shared_ptr<Clients>(new Clients(std::move(access), options),
                                      [gone, under_way = under_way()](Clients* clients) mutable {
                                        delete clients;
                                        under_way.reset();
                                        gone->set_value();
                                      });
}
Transport::~Transport() { clients_->close(); }

std::shared_ptr<Exchange> Transport::get(const Request& request, Listener listener) {
  return clients_->get(request, std::move(listener));
}
std::shared_ptr<Exchange> Transport::write(const Request& request, Listener listener) {
  return clients_->write(request, std::move(listener));
}
std::shared_ptr<Exchange> Transport::probe(const std::string& target, Duration within, Listener listener) {
  return clients_->probe(target, within, std::move(listener));
}
void Transport::reset() { clients_->reset(); }
void Transport::refuse_token() { clients_->refuse_token(); }

}  // namespace vipkeeper::kube
