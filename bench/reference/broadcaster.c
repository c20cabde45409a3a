/* The least that a WebSocket broadcaster can do, for comparison: one thread, epoll, no protocol above frames.
 *
 *   broadcaster
 *
 * Prints the port it listens on (127.0.0.1). Reads from standard input messages that are whole WebSocket frames, each after
 * its length (4 bytes, big-endian), and writes every one to every client. What a client's socket does not take at
 * once waits for that client alone, at most 4 MiB; then the client is closed. Ends with its input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CLIENTS = 20000, MOST_WAITING = 4 << 20, MOST_REQUEST = 4096, MOST_INPUT = 4 << 20, EVENTS = 256 };

struct client {
  int fd;
  int greeted;
  size_t place; /* among those who are served */
  size_t request_size;
  char *request; /* until it is answered */
  char *waiting;
  size_t waiting_size, waiting_room;
};

static struct client *clients[MOST_CLIENTS];
static struct client *served[MOST_CLIENTS];
static size_t served_count;
static int poller;

/* SHA-1 (RFC 3174), for the answer to the upgrade. */

static uint32_t rotated(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void sha1(const char *text, size_t size, unsigned char digest[20]) {
  uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  unsigned char padded[128] = {0}; /* a key and the GUID are 60 bytes: two blocks */
  size_t blocks = (size + 9 + 63) / 64;
  memcpy(padded, text, size);
  padded[size] = 0x80;
  for (int i = 0; i < 8; i++) padded[blocks * 64 - 1 - i] = (unsigned char)((uint64_t)size * 8 >> (8 * i));
  for (size_t block = 0; block < blocks; block++) {
    uint32_t w[80];
    for (int i = 0; i < 16; i++) {
      const unsigned char *at = padded + block * 64 + i * 4;
      w[i] = (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
    }
    for (int i = 16; i < 80; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
      uint32_t f, k;
      if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
      else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
      else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
      else f = b ^ c ^ d, k = 0xCA62C1D6;
      uint32_t next = rotated(a, 5) + f + e + k + w[i];
      e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
  }
  for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const unsigned char *bytes, size_t size, char *text) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < size; i += 3) {
    uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < size ? bytes[i + 1] << 8 : 0) | (i + 2 < size ? bytes[i + 2] : 0);
    *text++ = letters[three >> 18];
    *text++ = letters[three >> 12 & 63];
    *text++ = i + 1 < size ? letters[three >> 6 & 63] : '=';
    *text++ = i + 2 < size ? letters[three & 63] : '=';
  }
  *text = 0;
}

static void leave(struct client *client) {
  if (client->greeted) {
    served[client->place] = served[--served_count];
    served[client->place]->place = client->place;
  }
  clients[client->fd] = NULL;
  close(client->fd);
  free(client->request);
  free(client->waiting);
  free(client);
}

static void listen_to(struct client *client, uint32_t events, int how) {
  struct epoll_event event = {.events = events, .data.fd = client->fd};
  epoll_ctl(poller, how, client->fd, &event);
}

/* Returns 0 when the client had to be closed. */
static int write_to(struct client *client, const char *bytes, size_t size) {
  if (!client->waiting_size) {
    ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
    if (sent == (ssize_t)size) return 1;
    if (sent < 0 && errno != EAGAIN) return leave(client), 0;
    if (sent > 0) bytes += sent, size -= (size_t)sent;
    listen_to(client, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  }
  if (client->waiting_size + size > MOST_WAITING) return leave(client), 0;
  if (client->waiting_size + size > client->waiting_room) {
    client->waiting_room = 2 * (client->waiting_size + size);
    client->waiting = realloc(client->waiting, client->waiting_room);
  }
  memcpy(client->waiting + client->waiting_size, bytes, size);
  client->waiting_size += size;
  return 1;
}

static void flush(struct client *client) {
  ssize_t sent = send(client->fd, client->waiting, client->waiting_size, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno != EAGAIN) leave(client);
    return;
  }
  client->waiting_size -= (size_t)sent;
  memmove(client->waiting, client->waiting + sent, client->waiting_size);
  if (!client->waiting_size) {
    free(client->waiting);
    client->waiting = NULL, client->waiting_room = 0;
    listen_to(client, EPOLLIN, EPOLL_CTL_MOD);
  }
}

static void answer_upgrade(struct client *client) {
  client->request[client->request_size] = 0;
  if (!strstr(client->request, "\r\n\r\n")) return;
  char *key = strcasestr(client->request, "\r\nSec-WebSocket-Key:");
  if (!key) return leave(client);
  key += strlen("\r\nSec-WebSocket-Key:");
  key += strspn(key, " ");
  char text[64], digest_text[32], answer[256];
  unsigned char digest[20];
  int size = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  sha1(text, (size_t)size, digest);
  base64(digest, sizeof digest, digest_text);
  size = snprintf(answer, sizeof answer,
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: %s\r\n\r\n", digest_text);
  free(client->request);
  client->request = NULL;
  client->greeted = 1;
  client->place = served_count;
  served[served_count++] = client;
  write_to(client, answer, (size_t)size);
}

static void read_from(struct client *client) {
  static char ignored[65536]; /* what clients say after the upgrade */
  if (client->greeted) {
    ssize_t got = recv(client->fd, ignored, sizeof ignored, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) leave(client);
    return;
  }
  ssize_t got = recv(client->fd, client->request + client->request_size, MOST_REQUEST - 1 - client->request_size, 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) leave(client);
    return;
  }
  client->request_size += (size_t)got;
  answer_upgrade(client);
}

static void accept_all(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    if (fd >= MOST_CLIENTS) {
      close(fd);
      continue;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct client *client = calloc(1, sizeof *client);
    client->fd = fd;
    client->request = malloc(MOST_REQUEST);
    clients[fd] = client;
    listen_to(client, EPOLLIN, EPOLL_CTL_ADD);
  }
}

/* Returns 0 at the end of input. */
static int broadcast_input(void) {
  static char input[MOST_INPUT];
  static size_t size;
  ssize_t got = read(STDIN_FILENO, input + size, sizeof input - size);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  size += (size_t)got;
  size_t at = 0;
  while (size - at >= 4) {
    uint32_t length;
    memcpy(&length, input + at, 4);
    length = ntohl(length);
    if (size - at - 4 < length) break;
    for (size_t i = served_count; i-- > 0;) write_to(served[i], input + at + 4, length);
    at += 4 + length;
  }
  memmove(input, input + at, size - at);
  size -= at;
  return 1;
}

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) return perror("listen"), 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  poller = epoll_create1(0);
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  event.data.fd = STDIN_FILENO;
  epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(listener);
      else if (fd == STDIN_FILENO) {
        if (!broadcast_input()) return 0;
      } else {
        if (clients[fd] && events[i].events & EPOLLOUT) flush(clients[fd]);
        if (clients[fd] && events[i].events & ~EPOLLOUT) read_from(clients[fd]);
      }
    }
  }
}
