// What the three programs share: a clock, sockets on loopback, and samples with their percentiles.
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 256

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
  exit(1);
}

/** Nanoseconds of a clock that all processes of this machine share. */
static inline int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/** Waits for sockets until `due`; sleeps are rounded to nothing. */
static inline int wait_until(int poll, struct epoll_event *events, int64_t due) {
  int64_t left = due - now_ns();
  if (left < 0) left = 0;
  struct timespec timeout = {left / 1000000000, left % 1000000000};
  int count = epoll_pwait2(poll, events, MAX_EVENTS, &timeout, NULL);
  if (count < 0 && errno != EINTR) die("epoll_pwait2");
  return count < 0 ? 0 : count;
}

static inline int start_polling(void) {
  prctl(PR_SET_TIMERSLACK, 1);
  int poll = epoll_create1(0);
  if (poll < 0) die("epoll_create1");
  return poll;
}

static inline void watch(int poll, int socket, void *data) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event) < 0) die("epoll_ctl");
}

static inline void prepare_socket(int socket) {
  int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (fcntl(socket, F_SETFL, O_NONBLOCK) < 0) die("fcntl");
}

static inline int connect_to(int port) {
  struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
  int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  prepare_socket(descriptor);
  return descriptor;
}

/** The whole of standard input: a request as it is sent. */
static inline size_t read_request(char *into, size_t size) {
  size_t length = 0;
  for (ssize_t got; (got = read(0, into + length, size - length)) > 0;) length += got;
  return length;
}

typedef struct {
  int64_t *values;
  size_t count, room;
} Samples;

static inline void add_sample(Samples *samples, int64_t value) {
  if (samples->count == samples->room) {
    samples->room = samples->room ? samples->room * 2 : 1024;
    samples->values = realloc(samples->values, samples->room * sizeof *samples->values);
    if (!samples->values) die("realloc");
  }
  samples->values[samples->count++] = value;
}

static int compare_samples(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

/** Of nanoseconds, as JSON in milliseconds. */
static inline void print_samples(FILE *out, const char *name, Samples *samples) {
  qsort(samples->values, samples->count, sizeof *samples->values, compare_samples);
  const double shares[] = {0.5, 0.99, 1};
  const char *names[] = {"p50", "p99", "max"};
  fprintf(out, "\"%s\":{", name);
  for (int at = 0; at < 3; at++) {
    size_t index = samples->count ? (size_t)(shares[at] * (samples->count - 1)) : 0;
    double ms = samples->count ? samples->values[index] / 1e6 : 0;
    fprintf(out, "%s\"%s\":%.4f", at ? "," : "", names[at], ms);
  }
  fprintf(out, "}");
}
