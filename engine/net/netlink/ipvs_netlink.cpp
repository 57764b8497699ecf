#include "engine/net/netlink/ipvs_netlink.h"

#include <fmt/format.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include "engine/net/netlink/ipvs_answers.h"
#include "engine/net/netlink/ipvs_codec.h"
#include "engine/net/netlink/ipvs_module.h"

// How the kernel is talked to.
//
// Programming. Commands are packed into one send of up to 64 KiB (some 400), and only the last asks for an
// acknowledgement; the kernel works them off in order inside that one system call, and answers every command that fails
// by itself, with its sequence number. So a batch costs two system calls and its result is still known command by
// command: no error and the last one's acknowledgement seen means done. Were answers lost for want of buffer (ENOBUFS),
// the first one without is where knowledge ends, and the caller reads the table again. ipvs_answers.h has the meanings.
//
// Reading. One dump gives the services, one dump for each service its destinations; a socket runs one dump at a time.
// A dump is no consistent list: ip_vs holds its mutex for one buffer of it (some dozens of entries), finds its place in
// the next by counting, and does not say that it was interrupted (NLM_F_DUMP_INTR). Where someone else deletes an entry
// in between, one that stays is left out; where one is added, one may come twice. So nobody may conclude from a dump
// that something is not there. A question for one service by its key is exact.
//
// All answers lie in the socket's buffer when the send returns or are made by the next receive, so nothing here waits
// for anybody; the receive time-out is a net for kernels that break this rule.
namespace vipkeeper::net {
namespace {

using ipvs::OperationError;
using ipvs::ReadError;
using ipvs::TableError;
using ipvs::TableResult;

constexpr std::size_t batch_bytes = 64 * 1024;
// A failed command's answer costs the kernel about 1.3 KiB of our receive buffer (struct sk_buff included): this takes
// a whole batch of them. Beyond net.core.rmem_max it needs NET_ADMIN, which programming needs anyway.
constexpr int receive_buffer = 1024 * 1024;
constexpr int send_buffer = 4 * static_cast<int>(batch_bytes);
constexpr timeval receive_timeout{2, 0};

struct FreeBuffer {
  void operator()(unsigned char* buffer) const { free(buffer); }  // NOLINT: nl_recv() uses malloc
};

TableError unavailable(std::string_view what, int libnl_error) {
  return {{ErrorCode::unavailable, fmt::format("{}: {}", what, nl_geterror(libnl_error))}};
}

// Where everything is asked for, one failure is that of the whole.
TableError of_the_whole(const ReadError& error, const std::string& what) {
  if (const auto* table = std::get_if<TableError>(&error)) return {table->with_context(what)};
  return {{ErrorCode::unavailable, what + ": " + std::get<OperationError>(error).message}};
}

int error_of(nlmsghdr* header) {
  if (header->nlmsg_len < static_cast<std::uint32_t>(nlmsg_size(sizeof(int)))) return EBADMSG;
  int number = 0;
  std::memcpy(&number, nlmsg_data(header), sizeof number);
  return -number;
}

// One datagram: a list of messages, or the errno of the receive, negative.
class Datagram {
 public:
  explicit Datagram(nl_sock* socket) {
    sockaddr_nl from{};
    unsigned char* buffer = nullptr;
    errno = 0;
    length_ = nl_recv(socket, &from, &buffer, nullptr);
    // libnl turns errno into codes of its own, which tell less.
    if (length_ <= 0) error_ = errno != 0 ? errno : EAGAIN;
    buffer_.reset(buffer);
  }
  [[nodiscard]] int error() const { return error_; }

  // Calls visit(header) until it returns false; false if it did.
  template <class Visit>
  bool each(Visit visit) {
    // malloc aligns it for any type.
    void* start = buffer_.get();
    int rest = length_;
    for (auto* header = static_cast<nlmsghdr*>(start); nlmsg_ok(header, rest); header = nlmsg_next(header, &rest))
      if (!visit(header)) return false;
    return true;
  }

 private:
  std::unique_ptr<unsigned char, FreeBuffer> buffer_;
  int length_ = 0;
  int error_ = 0;
};

// Takes the destinations of a dump in.
auto into(ipvs::ServiceEntry& entry, const ipvs::ServiceKey& key) {
  return [&entry, &key](nlmsghdr* header) -> Result<void> {
    const auto reply = parse_destination(header, key);
    if (!reply) return std::unexpected(reply.error());
    entry.destinations.try_emplace(reply->key, reply->destination);
    return {};
  };
}

}  // namespace

IpvsNetlink::IpvsNetlink(bool load_module) : load_module_(load_module) {}
IpvsNetlink::~IpvsNetlink() = default;

void IpvsNetlink::FreeSocket::operator()(nl_sock* socket) const { nl_socket_free(socket); }

TableResult<int> IpvsNetlink::resolve_family() {
  errno = 0;
  int id = genl_ctrl_resolve(socket_.get(), IPVS_GENL_NAME);
  if (id == -NLE_OBJ_NOTFOUND && load_module_ && load_ipvs_module_once())
    id = genl_ctrl_resolve(socket_.get(), IPVS_GENL_NAME);
  if (id >= 0) return id;
  if (id == -NLE_OBJ_NOTFOUND) return std::unexpected(no_ipvs());
  if (id == -NLE_PERM) return std::unexpected(no_permission());
  return std::unexpected(unavailable("looking up the kernel's IPVS", id));
}

TableResult<void> IpvsNetlink::connect() {
  if (family_id_ != 0) return {};
  socket_.reset(nl_socket_alloc());
  if (!socket_) return std::unexpected(TableError{{ErrorCode::unavailable, "no memory for a netlink socket"}});
  nl_socket_disable_msg_peek(socket_.get());
  nl_socket_set_msg_buf_size(socket_.get(), batch_bytes);
  if (const int error = genl_connect(socket_.get()); error < 0)
    return std::unexpected(unavailable("opening a netlink socket", error));
  const int fd = nl_socket_get_fd(socket_.get());
  const int yes = 1;
  // An answer without a copy of the command; all four are an economy or a net, and no error if they fail.
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof yes);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof send_buffer) != 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof receive_timeout);
  const auto family = resolve_family();
  if (!family) return std::unexpected(family.error());
  family_id_ = *family;
  return {};
}

// Looked up anew, IPVS has the number that it had: a module loaded again gets another one.
bool IpvsNetlink::family_stands() {
  const int before = std::exchange(family_id_, 0);
  return connect() && family_id_ == before;
}

// One request and all of its answer: a dump, or messages and an acknowledgement. The first error ends the handling, not
// the reading, so that nothing is left over for the next request.
IpvsNetlink::Answered IpvsNetlink::ask(nl_msg* request, std::uint32_t sequence, const OnMessage& on_message) {
  nlmsghdr* header = nlmsg_hdr(request);
  errno = 0;
  if (nl_sendto(socket_.get(), header, header->nlmsg_len) < 0) {
    family_id_ = 0;
    return std::unexpected(table_error("asking the kernel for IPVS", errno));
  }
  Answered result;
  for (bool done = false; !done;) {
    Datagram datagram(socket_.get());
    if (datagram.error() != 0) {
      family_id_ = 0;  // whatever comes late must not be taken for an answer to something else
      return std::unexpected(table_error("reading IPVS from the kernel", datagram.error()));
    }
    datagram.each([&](nlmsghdr* message) {
      if (message->nlmsg_seq != sequence) return true;
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
        if (const int number = error_of(message); result && number > 0)
          result = std::unexpected(judge_question(number));
        done = true;
      } else if (result) {
        if (auto taken = on_message(message); !taken) result = std::unexpected(TableError{taken.error()});
      }
      return true;
    });
  }
  if (!result && std::holds_alternative<TableError>(result.error())) family_id_ = 0;
  return result;
}

IpvsNetlink::Answered IpvsNetlink::dump_destinations(const ipvs::ServiceKey& key, const OnMessage& on_message) {
  const std::uint32_t sequence = sequence_++;
  return ask(build_get_destinations(key, family_id_, sequence).get(), sequence, on_message);
}

TableResult<ipvs::Table> IpvsNetlink::read() {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  ipvs::Table table;
  const std::uint32_t sequence = sequence_++;
  auto services = ask(build_get_services(family_id_, sequence).get(), sequence, [&](nlmsghdr* header) -> Result<void> {
    auto reply = parse_service(header);
    if (!reply) return std::unexpected(reply.error());
    table.try_emplace(reply->key, ipvs::ServiceEntry{std::move(reply->service), {}});
    return {};
  });
  if (!services) return std::unexpected(of_the_whole(services.error(), "virtual services"));
  for (auto& [key, entry] : table) {
    auto destinations = dump_destinations(key, into(entry, key));
    if (!destinations) return std::unexpected(of_the_whole(destinations.error(), "real servers of " + key.to_string()));
  }
  return table;
}

std::expected<std::optional<ipvs::ServiceEntry>, ReadError> IpvsNetlink::read(const ipvs::ServiceKey& key) {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  std::optional<ipvs::ServiceEntry> entry;
  const std::uint32_t sequence = sequence_++;
  auto found = ask(build_get_service(key, family_id_, sequence).get(), sequence, [&](nlmsghdr* header) -> Result<void> {
    auto reply = parse_service(header);
    if (!reply) return std::unexpected(reply.error());
    entry.emplace(std::move(reply->service));
    return {};
  });
  if (!found) {
    const auto* error = std::get_if<OperationError>(&found.error());
    if (error != nullptr && error->kind == OperationError::Kind::gone) return std::nullopt;
    return std::unexpected(found.error());
  }
  if (!entry) return std::nullopt;
  if (auto destinations = dump_destinations(key, into(*entry, key)); !destinations)
    return std::unexpected(destinations.error());
  return entry;
}

ipvs::Applied IpvsNetlink::apply(const std::vector<ipvs::Operation>& operations) {
  ipvs::Applied all;
  if (auto connected = connect(); !connected) {
    all.table_error = connected.error();
    return all;
  }
  while (all.answers.size() < operations.size() && !all.table_error) {
    ipvs::Applied part = send_batch(std::span(operations).subspan(all.answers.size()));
    std::ranges::move(part.answers, std::back_inserter(all.answers));
    all.table_error = std::move(part.table_error);
  }
  // Whatever it was, the next use begins with a new socket and looks the family up.
  if (all.table_error) family_id_ = 0;
  return all;
}

// Sends as many of the commands as fit into one datagram, and tells what became of those.
ipvs::Applied IpvsNetlink::send_batch(std::span<const ipvs::Operation> operations) {
  const std::uint32_t first = sequence_;
  std::size_t count = 0, last_offset = 0;
  batch_.clear();
  for (const ipvs::Operation& operation : operations) {
    const MessagePtr message = build_operation(operation, family_id_, sequence_, 0);
    const nlmsghdr* header = nlmsg_hdr(message.get());
    const std::size_t size = NLMSG_ALIGN(header->nlmsg_len);
    if (count > 0 && batch_.size() + size > batch_bytes) break;
    last_offset = batch_.size();
    batch_.resize(last_offset + size);
    std::memcpy(batch_.data() + last_offset, header, header->nlmsg_len);
    ++sequence_;
    ++count;
  }
  std::uint16_t flags = NLM_F_REQUEST | NLM_F_ACK;
  std::memcpy(batch_.data() + last_offset + offsetof(nlmsghdr, nlmsg_flags), &flags, sizeof flags);

  errno = 0;
  std::vector<std::optional<int>> numbers;
  if (nl_sendto(socket_.get(), batch_.data(), batch_.size()) >= 0) {
    numbers = collect_answers(first, count);
  } else if (errno == ENOMEM || errno == ENOBUFS) {
    numbers.assign(count, errno);  // no memory for so much at once: none of them was looked at
  } else {
    return {{}, table_error("programming IPVS", errno)};
  }
  return judge_answers(operations.first(count), numbers, [this] { return family_stands(); });
}

// An errno for each of the `count` commands from the number `first` on; nullopt: its answer was lost.
std::vector<std::optional<int>> IpvsNetlink::collect_answers(std::uint32_t first, std::size_t count) {
  std::vector<std::optional<int>> numbers(count);
  while (!numbers.back()) {
    Datagram datagram(socket_.get());
    if (datagram.error() != 0) return numbers;
    datagram.each([&](nlmsghdr* message) {
      const std::size_t index = message->nlmsg_seq - first;
      if (message->nlmsg_type == NLMSG_ERROR && index < count) numbers[index] = error_of(message);
      return true;
    });
  }
  // Only failures and the last command are answered, in order: what has no answer when the last one's is here, was
  // done.
  for (auto& number : numbers) number = number.value_or(0);
  return numbers;
}

TableResult<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> IpvsNetlink::read_stats() { return read_stats({}); }

TableResult<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> IpvsNetlink::read_stats(
    std::span<const ipvs::ServiceKey> keys) {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  std::map<ipvs::ServiceKey, ipvs::ServiceStats> all;
  const std::uint32_t sequence = sequence_++;
  auto services = ask(build_get_services(family_id_, sequence).get(), sequence, [&](nlmsghdr* header) -> Result<void> {
    auto reply = parse_service(header);
    if (!reply) return std::unexpected(reply.error());
    all.try_emplace(reply->key, std::move(reply->stats));
    return {};
  });
  if (!services) return std::unexpected(of_the_whole(services.error(), "virtual services"));
  if (!keys.empty()) {
    const std::set<ipvs::ServiceKey> asked(keys.begin(), keys.end());
    std::erase_if(all, [&](const auto& item) { return !asked.contains(item.first); });
  }
  for (auto& [key, stats] : all) {
    auto destinations = dump_destinations(key, [&](nlmsghdr* header) -> Result<void> {
      const auto reply = parse_destination(header, key);
      if (!reply) return std::unexpected(reply.error());
      stats.destinations.try_emplace(reply->key, reply->stats);
      return {};
    });
    if (!destinations) return std::unexpected(of_the_whole(destinations.error(), "real servers of " + key.to_string()));
  }
  return all;
}

}  // namespace vipkeeper::net
