// The floor: the least that a program can do to serve rooms over WebSockets. It
// numbers nothing, remembers nothing, checks nothing and trusts its clients; it
// writes the bytes. What it costs is what the kernel costs.
//
//   floor PORT each      every message is sent to every member at once: a send(2) each
//   floor PORT batch     what came in one turn of the event loop is sent together
//   floor PORT presence  likewise, and members are told who comes and goes
//
// GET /ROOM joins the room. Text messages of clients begin with a letter: P
// publishes what follows it to the room, L leaves it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, READ = 256 << 10, NAME = 64, BUCKETS = 1 << 16 };

struct bytes {
  char *at;
  size_t n, room;
};

struct conn {
  int fd, slot;        // slot in room->members
  struct room *room;   // NULL: in none
  struct bytes in, out; // what has not come whole; what the kernel would not take
  char open, dead;
};

struct room {
  char name[NAME];
  struct conn **members;
  int n, space;
  struct bytes pending;
  char dirty;
  struct room *next, *next_dirty;
};

static int epoll, batch, presence;
static struct room *rooms[BUCKETS], *dirty;
static struct conn *dead[1 << 20];
static int deads;
static char buffer[READ];

static void append(struct bytes *b, const void *p, size_t n) {
  if (b->n + n > b->room) {
    b->room = (b->n + n) * 3 / 2 + 64;
    if (!(b->at = realloc(b->at, b->room))) abort();
  }
  memcpy(b->at + b->n, p, n);
  b->n += n;
}

static void clear(struct bytes *b) {
  free(b->at);
  memset(b, 0, sizeof *b);
}

static void watch(struct conn *c, int op, uint32_t what) {
  struct epoll_event e = {.events = what, .data.ptr = c};
  epoll_ctl(epoll, op, c->fd, &e);
}

static void write_to(struct conn *c, const char *p, size_t n) {
  if (c->dead) return;
  if (!c->out.n) {
    ssize_t sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return; // reading tells of the end
    if (sent < 0) sent = 0;
    p += sent, n -= (size_t)sent;
    if (!n) return;
    watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  }
  append(&c->out, p, n);
}

static void flush(struct conn *c) {
  ssize_t sent = send(c->fd, c->out.at, c->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return;
  c->out.n -= (size_t)sent;
  memmove(c->out.at, c->out.at + sent, c->out.n);
  if (!c->out.n) {
    clear(&c->out);
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
  }
}

// header writes that of an unmasked text frame.
static size_t header(char *h, size_t n) {
  h[0] = (char)0x81;
  if (n < 126) return h[1] = (char)n, 2;
  if (n < 65536) return h[1] = 126, h[2] = (char)(n >> 8), h[3] = (char)n, 4;
  h[1] = 127;
  for (int i = 0; i < 8; i++) h[2 + i] = (char)((uint64_t)n >> (56 - 8 * i));
  return 10;
}

static void to_members(struct room *r, const char *p, size_t n) {
  for (int i = 0; i < r->n; i++) write_to(r->members[i], p, n);
}

// tell sends a text message to all members of a room, now or with this turn's
// others. It writes the frame's header before the text, where 10 bytes are free.
static void tell(struct room *r, char *text, size_t n) {
  char h[10];
  size_t k = header(h, n);
  memcpy(text - k, h, k);
  if (!batch) {
    to_members(r, text - k, n + k);
    return;
  }
  append(&r->pending, text - k, n + k);
  if (!r->dirty) r->dirty = 1, r->next_dirty = dirty, dirty = r;
}

static void notice(struct room *r, const char *kind, struct conn *c) {
  if (!presence) return;
  char text[400];
  int n = snprintf(text + 10, sizeof text - 10,
                   "{\"type\":\"%s\",\"room\":\"%s\",\"at\":1790000000000,\"member\":{\"session\":\"s_%016d\",\"user\":\"u%08d\",\"name\":\"u%08d\","
                   "\"state\":\"active\"},\"count\":%d}",
                   kind, r->name, c->fd, c->fd, c->fd, r->n);
  tell(r, text + 10, (size_t)n);
}

static void join(struct conn *c, const char *name, size_t n) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)name[i]) * 16777619u;
  struct room **at = &rooms[h % BUCKETS], *r;
  for (r = *at; r; r = r->next)
    if (strlen(r->name) == n && !memcmp(r->name, name, n)) break;
  if (!r) {
    if (!(r = calloc(1, sizeof *r))) abort();
    memcpy(r->name, name, n);
    r->next = *at, *at = r;
  }
  if (r->n == r->space) {
    r->space = r->space * 3 / 2 + 8;
    if (!(r->members = realloc(r->members, sizeof *r->members * (size_t)r->space))) abort();
  }
  c->room = r, c->slot = r->n;
  r->members[r->n++] = c;
}

static void leave(struct conn *c) {
  struct room *r = c->room;
  if (!r) return;
  c->room = NULL;
  (r->members[c->slot] = r->members[--r->n])->slot = c->slot;
  notice(r, "leave", c);
}

// end closes a connection; it is freed when no event of this turn can name it.
static void end(struct conn *c) {
  if (c->dead) return;
  c->dead = 1;
  leave(c);
  close(c->fd);
  dead[deads++] = c;
}

static void say(struct conn *c, const char *text) {
  char h[10];
  size_t n = strlen(text), k = header(h, n);
  char frame[512];
  memcpy(frame, h, k);
  memcpy(frame + k, text, n);
  write_to(c, frame, k + n);
}

// upgrade answers the request in b, and returns its length; 0: it is not whole.
static size_t upgrade(struct conn *c, char *b, size_t n) {
  static const char answer[] =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  char *stop = memmem(b, n, "\r\n\r\n", 4), *blank = NULL;
  if (!stop) return 0;
  if (n > 5 && !memcmp(b, "GET /", 5)) blank = memchr(b + 5, ' ', n - 5);
  if (!blank || blank - (b + 5) >= NAME) {
    end(c);
    return n;
  }
  c->open = 1;
  write_to(c, answer, sizeof answer - 1);
  join(c, b + 5, (size_t)(blank - (b + 5)));
  char text[64];
  snprintf(text, sizeof text, "{\"type\":\"joined\",\"count\":%d}", c->room->n);
  say(c, text);
  notice(c->room, "join", c);
  return (size_t)(stop + 4 - b);
}

// take takes the first frame, or the request, of b, and returns its length; 0:
// it is not whole.
static size_t take(struct conn *c, char *b, size_t n) {
  if (!c->open) return upgrade(c, b, n);
  if (n < 6) return 0;
  unsigned char *u = (unsigned char *)b;
  size_t length = u[1] & 0x7f, at = 2;
  if (length == 126) at = 4, length = (size_t)u[2] << 8 | u[3];
  if (length == 127 || !(u[1] & 0x80)) { // no client of ours says so much, or unmasked
    end(c);
    return n;
  }
  char *mask = b + at, *p = mask + 4;
  if (n < at + 4 + length) return 0;
  for (size_t i = 0; i < length; i++) p[i] ^= mask[i & 3];
  switch (u[0] & 0xf) {
  case 1:
    if (length && *p == 'P' && c->room) {
      char text[10 + 65536]; // the frame's own header may be shorter than that which goes out
      memcpy(text + 10, p + 1, length - 1);
      tell(c->room, text + 10, length - 1);
    } else if (length && *p == 'L') {
      leave(c);
      say(c, "{\"type\":\"left\"}");
    }
    break;
  case 8:
    write_to(c, "\x88\x02\x03\xe8", 4);
    end(c);
    break;
  }
  return at + 4 + length;
}

static void receive(struct conn *c) {
  ssize_t got = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    end(c);
    return;
  }
  char *b = buffer;
  size_t n = (size_t)got, used = 0, k;
  if (c->in.n) append(&c->in, b, n), b = c->in.at, n = c->in.n;
  while (!c->dead && used < n && (k = take(c, b + used, n - used))) used += k;
  if (c->in.n) {
    memmove(b, b + used, n - used);
    if (!(c->in.n = n - used)) clear(&c->in);
  } else if (used < n) {
    append(&c->in, b + used, n - used);
  }
}

static void admit(int listener) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct conn *c = calloc(1, sizeof *c);
    if (!c) abort();
    c->fd = fd;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: floor PORT each|batch|presence\n"), 2;
  presence = !strcmp(argv[2], "presence");
  batch = presence || !strcmp(argv[2], "batch");
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, send_buffer = 32 << 10;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer); // what the server gives its connections
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) return perror("floor"), 1;
  epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[EVENTS];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(epoll, ready, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      struct conn *c = ready[i].data.ptr;
      if (!c) {
        admit(listener);
        continue;
      }
      if (!c->dead && ready[i].events & EPOLLOUT && c->out.n) flush(c);
      if (!c->dead && ready[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(c);
    }
    for (; dirty; dirty = dirty->next_dirty) {
      to_members(dirty, dirty->pending.at, dirty->pending.n);
      dirty->pending.n = dirty->dirty = 0;
    }
    while (deads) {
      struct conn *c = dead[--deads];
      free(c->in.at);
      free(c->out.at);
      free(c);
    }
  }
}
