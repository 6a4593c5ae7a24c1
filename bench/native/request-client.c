// Sends requests at set times, whatever becomes of those before: Poisson arrivals at RATE a second for SECONDS, after half a second
// that does not count. The request is read from standard input. Prints one JSON object: how many were due, answered and not, in
// milliseconds the time from when a request was due to its whole answer, and how late it was sent although a connection was free.
#include "common.h"
#include <math.h>

#define MAX_CONNECTIONS 1024
#define WARM_UP_NS 500000000LL
#define END_WITHIN_NS 1000000000LL
#define MAX_ANSWER 16384

typedef struct {
  int socket, length;
  int64_t due;
  char answer[MAX_ANSWER];
} Connection;

static Connection all[MAX_CONNECTIONS];
static Connection *idle[MAX_CONNECTIONS];
static int opened, idle_count, poll, port;
static char request[65536];
static size_t request_length;
static int64_t window_begin, window_end;
static Samples latency, late;
static uint64_t state = 88172645463325252ULL;

/** xorshift: above 0, at most 1. */
static double random_share(void) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return ((state >> 11) + 1) / 9007199254740993.0;
}

static int counts(int64_t due) { return due >= window_begin && due < window_end; }

static Connection *free_connection(void) {
  if (idle_count > 0) return idle[--idle_count];
  if (opened == MAX_CONNECTIONS) return NULL;
  Connection *connection = &all[opened++];
  connection->socket = connect_to(port);
  watch(poll, connection->socket, connection);
  return connection;
}

static int send_request(int64_t due) {
  Connection *connection = free_connection();
  if (!connection) return 0;
  connection->due = due;
  connection->length = 0;
  if (write(connection->socket, request, request_length) != (ssize_t)request_length) die("write");
  return 1;
}

/** An answer with a content-length; any other, and any but a 200, ends the run. */
static int is_whole(Connection *connection) {
  char *end = strstr(connection->answer, "\r\n\r\n");
  if (!end) return 0;
  char *length = strcasestr(connection->answer, "content-length:");
  if (strncmp(connection->answer + 9, "200", 3) || !length) die(connection->answer);
  return connection->length >= end + 4 - connection->answer + atoi(length + 15);
}

static void read_from(Connection *connection) {
  ssize_t got = read(connection->socket, connection->answer + connection->length, MAX_ANSWER - 1 - connection->length);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) die("the server closed a connection");
  connection->length += got;
  connection->answer[connection->length] = 0;
  if (!is_whole(connection)) return;
  if (counts(connection->due)) add_sample(&latency, now_ns() - connection->due);
  connection->due = 0;
  idle[idle_count++] = connection;
}

int main(int count, char **arguments) {
  if (count != 4) die("usage: request-client PORT RATE SECONDS < REQUEST");
  port = atoi(arguments[1]);
  double rate = atof(arguments[2]);
  poll = start_polling();
  request_length = read_request(request, sizeof request);
  window_begin = now_ns() + WARM_UP_NS;
  window_end = window_begin + atof(arguments[3]) * 1e9;
  struct epoll_event events[MAX_EVENTS];
  long due_count = 0;
  for (int64_t due = now_ns(); due < window_end || idle_count < opened;) {
    int ready = wait_until(poll, events, due < window_end ? due : window_end + END_WITHIN_NS);
    for (int at = 0; at < ready; at++) read_from(events[at].data.ptr);
    if (now_ns() > window_end + END_WITHIN_NS) break;
    while (due < window_end && now_ns() >= due) {
      int64_t sent = now_ns();
      if (!send_request(due)) break;
      if (counts(due)) due_count++, add_sample(&late, sent - due);
      due += -log(random_share()) * 1e9 / rate;
    }
  }
  long answered = latency.count;
  // Without an answer: as long as has been waited.
  for (int at = 0; at < opened; at++)
    if (all[at].due && counts(all[at].due)) add_sample(&latency, now_ns() - all[at].due);
  printf("{\"due\":%ld,\"answered\":%ld,", due_count, answered);
  print_samples(stdout, "latencyMs", &latency);
  printf(",");
  print_samples(stdout, "clientLateMs", &late);
  printf("}\n");
}
