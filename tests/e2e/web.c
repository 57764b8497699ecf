// What answers behind the Services of these tests: the host's name, which is the pod's, and the client's address, one line,
// by HTTP and by UDP on port 8080. Ends at once on SIGTERM, so a preStop sleep is what lets it serve while it is taken out.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(int number) {
  (void)number;
  _exit(0);
}

static int open_socket(int type) {
  int on = 1, fd = socket(AF_INET, type, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(8080)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0) _exit(1);
  return fd;
}

static int line(char *text, size_t size, const struct sockaddr_in *client) {
  char name[65] = "", address[INET_ADDRSTRLEN] = "";
  gethostname(name, sizeof name - 1);
  inet_ntop(AF_INET, &client->sin_addr, address, sizeof address);
  return snprintf(text, size, "%s %s\n", name, address);
}

// Whoever connects may take its time to ask: nobody waits for it, or one slow client would stop all others.
enum { listener, datagrams, first, most = 1024 };
static struct pollfd sockets[most];
static int count_of_sockets = first;

static void accept_one(void) {
  int fd = accept4(sockets[listener].fd, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  if (count_of_sockets == most)
    close(fd);
  else
    sockets[count_of_sockets++] = (struct pollfd){fd, POLLIN, 0};
}

static void answer_http(int index) {
  struct sockaddr_in client;
  socklen_t size = sizeof client;
  char request[2048], text[160], reply[320];
  int fd = sockets[index].fd;
  if (recv(fd, request, sizeof request, 0) > 0 && getpeername(fd, (struct sockaddr *)&client, &size) == 0) {
    int length = line(text, sizeof text, &client);
    int all = snprintf(reply, sizeof reply, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", length, text);
    (void)!send(fd, reply, (size_t)all, MSG_NOSIGNAL);
  }
  close(fd);
  sockets[index] = sockets[--count_of_sockets];
}

static void answer_udp(int fd) {
  struct sockaddr_in client;
  socklen_t size = sizeof client;
  char text[160];
  if (recvfrom(fd, text, sizeof text, 0, (struct sockaddr *)&client, &size) >= 0)
    sendto(fd, text, (size_t)line(text, sizeof text, &client), 0, (struct sockaddr *)&client, size);
}

// "web ADDRESS COUNT": asks there instead, so many times, and prints the answers; for questions from inside a pod.
static int ask(const char *address) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
  struct timeval patience = {5, 0};
  char text[512];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) return 1;
  if (send(fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL) != 18) return 1;
  size_t have = 0;
  for (ssize_t got; (got = recv(fd, text + have, sizeof text - 1 - have, 0)) > 0;) have += (size_t)got;
  text[have] = 0;
  const char *body = strstr(text, "\r\n\r\n");
  close(fd);
  if (body == NULL) return 1;
  fputs(body + 4, stdout);
  return 0;
}

int main(int count, char **words) {
  for (int left = count == 3 ? atoi(words[2]) : 0; left > 0; --left)
    if (ask(words[1]) != 0) return 1;
  if (count > 1) return 0;
  signal(SIGTERM, leave);
  sockets[listener] = (struct pollfd){open_socket(SOCK_STREAM), POLLIN, 0};
  sockets[datagrams] = (struct pollfd){open_socket(SOCK_DGRAM), POLLIN, 0};
  listen(sockets[listener].fd, 512);
  for (;;) {
    if (poll(sockets, (nfds_t)count_of_sockets, -1) <= 0) continue;
    for (int index = count_of_sockets - 1; index >= first; --index)
      if (sockets[index].revents) answer_http(index);
    if (sockets[datagrams].revents) answer_udp(sockets[datagrams].fd);
    if (sockets[listener].revents) accept_one();
  }
}
