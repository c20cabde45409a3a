/* Many WebSocket listeners in one thread, cheap enough not to be what is measured.
 *
 *   receiver PORT LISTENERS AT_ONCE [JOIN]
 *
 * Opens LISTENERS connections to 127.0.0.1:PORT, at most AT_ONCE on their way, and sends JOIN, a text message, on
 * each. A listener is ready when it was answered with "sessionJoined", or without JOIN when it is connected. Prints
 * `ready` and a line of the times that took, in microseconds from opening the connection, when all are.
 *
 * Messages have a kind and a number: voice (a binary delivery) its sequenceNumber, a caption its segmentId, a
 * notice about the speaker's controls, a place of its own for each listener, counted from 1. Of each kind every
 * listener's numbers must count up by one: `lost` are those that were left out, `doubled` those that came again.
 *
 * Standard input: `report` prints what came since the last report and begins anew, `count` how many messages came
 * since then. Its end ends the program.
 *   report:  lost N doubled N closed N other N, then a line `kind number count last_ns` for each, then `end`;
 *   last_ns is when the last listener had it, on the monotonic clock.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { VOICE, CAPTION, NOTICE, KINDS, NUMBERS = 65536, EVENTS = 256, MOST_LISTENERS = 20000, LOOK = 4096 };
enum { PER_ADDRESS = 10000, BUFFER = 1 << 20 };
static const char *const names[KINDS] = {"voice", "caption", "notice"};

struct listener {
  int fd;
  int upgraded, ready;
  uint64_t began_ns;
  uint32_t next[KINDS];
  char *rest; /* of a frame that has not come whole */
  size_t rest_size;
};

struct arrival {
  uint32_t count;
  uint64_t last_ns;
};

static struct listener listeners[MOST_LISTENERS];
static struct arrival arrivals[KINDS][NUMBERS];
static uint32_t took_us[MOST_LISTENERS];
static uint64_t messages, lost, doubled, closed_count, other;
static int poller, port, wanted, at_once, opened, ready_count;
static const char *join;
static char buffer[BUFFER];

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void open_one(void) {
  struct listener *listener = &listeners[opened];
  struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(opened / PER_ADDRESS));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int on = 1;
  listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  setsockopt(listener->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(listener->fd, (struct sockaddr *)&from, sizeof from)) perror("bind"), exit(1);
  if (connect(listener->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) perror("connect"), exit(1);
  listener->began_ns = now_ns();
  struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)opened++};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener->fd, &event);
}

static void on_ready(struct listener *listener) {
  listener->ready = 1;
  took_us[ready_count++] = (uint32_t)((now_ns() - listener->began_ns) / 1000);
  if (opened < wanted) open_one();
  if (ready_count < wanted) return;
  printf("ready\n");
  for (int i = 0; i < wanted; i++) printf("%u ", took_us[i]);
  printf("\n");
  fflush(stdout);
}

/* Frames of a client are masked; a mask of zeros leaves the bytes as they are. */
static void say(struct listener *listener, int opcode, const char *bytes, size_t size) {
  char frame[1024] = {(char)(0x80 | opcode)};
  size_t head = size < 126 ? 6 : 8;
  if (size > sizeof frame - head) exit(1);
  frame[1] = (char)(0x80 | (size < 126 ? size : 126));
  if (size >= 126) frame[2] = (char)(size >> 8), frame[3] = (char)size;
  memcpy(frame + head, bytes, size);
  if (send(listener->fd, frame, head + size, MSG_NOSIGNAL) != (ssize_t)(head + size)) perror("send");
}

static uint32_t number_after(const char *bytes, size_t size, const char *marker) {
  const char *at = memmem(bytes, size < LOOK ? size : LOOK, marker, strlen(marker));
  return at ? (uint32_t)strtoul(at + strlen(marker), NULL, 10) : 0;
}

static int has(const char *bytes, size_t size, const char *marker) {
  return memmem(bytes, size < 200 ? size : 200, marker, strlen(marker)) != NULL;
}

static void note(struct listener *listener, int kind, uint32_t number) {
  uint32_t expected = listener->next[kind];
  if (expected && number < expected) {
    doubled++;
    return;
  }
  if (expected) lost += number - expected;
  listener->next[kind] = number + 1;
  struct arrival *arrival = &arrivals[kind][number % NUMBERS];
  arrival->count++;
  arrival->last_ns = now_ns();
  messages++;
}

static void on_message(struct listener *listener, int binary, const char *bytes, size_t size) {
  if (binary) note(listener, VOICE, number_after(bytes, size, "\"sequenceNumber\":"));
  else if (has(bytes, size, "\"type\":\"caption\"")) note(listener, CAPTION, number_after(bytes, size, "\"segmentId\":\""));
  else if (has(bytes, size, "\"type\":\"broadcast")) note(listener, NOTICE, listener->next[NOTICE] ? listener->next[NOTICE] : 1);
  else if (has(bytes, size, "\"type\":\"sessionJoined\"")) on_ready(listener);
  else if (!other++) fprintf(stderr, "receiver: %.*s\n", (int)(size < 300 ? size : 300), bytes);
}

/* Handles what is whole; returns how much that was. */
static size_t take(struct listener *listener, const char *bytes, size_t size) {
  size_t at = 0;
  if (!listener->upgraded) {
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    if (!end) return 0;
    if (strncmp(bytes, "HTTP/1.1 101", 12)) fprintf(stderr, "receiver: %.*s\n", 200, bytes), exit(1);
    at = (size_t)(end - bytes) + 4;
    listener->upgraded = 1;
    if (join) say(listener, 1, join, strlen(join));
    else on_ready(listener);
  }
  while (size - at >= 2) {
    const unsigned char *head = (const unsigned char *)bytes + at;
    size_t head_size = 2, length = head[1] & 127;
    if (length == 126) {
      if (size - at < 4) break;
      length = (size_t)head[2] << 8 | head[3], head_size = 4;
    } else if (length == 127) {
      if (size - at < 10) break;
      length = 0, head_size = 10;
      for (int i = 2; i < 10; i++) length = length << 8 | head[i];
    }
    if (size - at < head_size + length) break;
    const char *payload = bytes + at + head_size;
    int opcode = head[0] & 15;
    if (opcode == 9) say(listener, 10, payload, length);
    else if (opcode == 1 || opcode == 2) on_message(listener, opcode == 2, payload, length);
    at += head_size + length;
  }
  return at;
}

static void on_readable(struct listener *listener) {
  memcpy(buffer, listener->rest, listener->rest_size);
  ssize_t got = recv(listener->fd, buffer + listener->rest_size, BUFFER - listener->rest_size - 1, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    closed_count++;
    close(listener->fd);
    return;
  }
  size_t size = listener->rest_size + (size_t)got;
  buffer[size] = 0;
  size_t taken = take(listener, buffer, size);
  free(listener->rest);
  listener->rest = NULL;
  listener->rest_size = size - taken;
  if (listener->rest_size) {
    listener->rest = malloc(listener->rest_size);
    memcpy(listener->rest, buffer + taken, listener->rest_size);
  }
}

static void on_connected(struct listener *listener, uint32_t index) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(listener->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) fprintf(stderr, "receiver: %s\n", strerror(error)), exit(1);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
  epoll_ctl(poller, EPOLL_CTL_MOD, listener->fd, &event);
  static const char upgrade[] =
      "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  if (send(listener->fd, upgrade, sizeof upgrade - 1, MSG_NOSIGNAL) < 0) perror("send"), exit(1);
}

static void report(void) {
  printf("lost %lu doubled %lu closed %lu other %lu\n", lost, doubled, closed_count, other);
  for (int kind = 0; kind < KINDS; kind++)
    for (int number = 0; number < NUMBERS; number++)
      if (arrivals[kind][number].count)
        printf("%s %d %u %lu\n", names[kind], number, arrivals[kind][number].count, arrivals[kind][number].last_ns);
  printf("end\n");
  fflush(stdout);
  memset(arrivals, 0, sizeof arrivals);
  messages = lost = doubled = closed_count = other = 0;
}

static void obey(void) {
  char line[256];
  ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
  if (got <= 0) exit(0);
  line[got] = 0;
  if (strstr(line, "report")) report();
  else printf("%lu\n", messages), fflush(stdout);
}

int main(int count, char **arguments) {
  if (count < 4) return fprintf(stderr, "receiver PORT LISTENERS AT_ONCE [JOIN]\n"), 2;
  port = atoi(arguments[1]), wanted = atoi(arguments[2]), at_once = atoi(arguments[3]);
  join = count > 4 ? arguments[4] : NULL;
  poller = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event);
  while (opened < wanted && opened < at_once) open_one();
  for (;;) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      uint32_t index = events[i].data.u32;
      if (index == UINT32_MAX) obey();
      else if (events[i].events & EPOLLOUT) on_connected(&listeners[index], index);
      else on_readable(&listeners[index]);
    }
  }
}
