// load ADDRESS PORT RATE: asks there by HTTP so many times a second, each request a connection of its own, until SIGTERM; then
// prints "answered N failed N longest S seconds S", before it a line a failure. In C, because the client shares one processor with
// three nodes and all of Kubernetes, and must not be what keeps them from answering.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { most = 2048 };
static const double patience = 10;

struct request {
  double begun;
  size_t have;
  char text[512];
  int sent;
};

static struct pollfd sockets[most];
static struct request requests[most];
static int open_requests;
static long answered, failed;
static double start, last_answer, longest;
static volatile sig_atomic_t ending;

static void end(int number) {
  (void)number;
  ending = 1;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void finish(int index, const char *why) {
  double at = now();
  if (why == NULL) {
    ++answered;
    if (last_answer > 0 && at - last_answer > longest) longest = at - last_answer;
    last_answer = at;
  } else {
    ++failed;
    printf("%.2f s: %s after %.2f s\n", requests[index].begun - start, why, at - requests[index].begun);
  }
  close(sockets[index].fd);
  --open_requests;
  sockets[index] = sockets[open_requests];
  requests[index] = requests[open_requests];
}

static void begin(const struct sockaddr_in *to) {
  if (open_requests == most) {
    ++failed;
    printf("%.2f s: too many under way\n", now() - start);
    return;
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct request fresh = {.begun = now()};
  sockets[open_requests] = (struct pollfd){fd, POLLOUT, 0};
  requests[open_requests++] = fresh;
  if (fd < 0 || (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0 && errno != EINPROGRESS)) finish(open_requests - 1, strerror(errno));
}

static void go_on(int index) {
  static const char question[] = "GET / HTTP/1.0\r\n\r\n";
  struct request *one = &requests[index];
  if (!one->sent) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(sockets[index].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0 && send(sockets[index].fd, question, sizeof question - 1, MSG_NOSIGNAL) < 0) error = errno;
    if (error != 0) {
      finish(index, strerror(error));
      return;
    }
    one->sent = 1;
    sockets[index].events = POLLIN;
    return;
  }
  ssize_t got = recv(sockets[index].fd, one->text + one->have, sizeof one->text - one->have, 0);
  if (got > 0) one->have += (size_t)got;
  if (got < 0) {
    if (errno != EAGAIN) finish(index, strerror(errno));
  } else if (got == 0 || one->have == sizeof one->text) {
    finish(index, one->have > 12 && memcmp(one->text, "HTTP/1.0 200", 12) == 0 ? NULL : "no answer");
  }
}

int main(int count, char **words) {
  if (count != 4) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(words[2]))};
  if (inet_pton(AF_INET, words[1], &to.sin_addr) != 1) return 2;
  double every = 1 / atof(words[3]), next = start = now();
  signal(SIGTERM, end);
  while (!ending || open_requests > 0) {
    double at = now();
    for (; !ending && next <= at; next += every) begin(&to);
    int wait = ending ? 50 : (int)((next - at) * 1000) + 1;
    if (poll(sockets, (nfds_t)open_requests, wait) > 0)
      for (int i = open_requests - 1; i >= 0; --i)
        if (sockets[i].revents) go_on(i);
    for (int i = open_requests - 1; i >= 0; --i)
      if (now() - requests[i].begun > patience) finish(i, requests[i].sent ? "no answer in time" : "no connection in time");
  }
  printf("answered %ld failed %ld longest %.2f seconds %.1f\n", answered, failed, longest, now() - start);
  return 0;
}
