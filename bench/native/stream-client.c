// Holds STREAMS streams open at the same time for SECONDS and measures how each token of the upstream arrives. The request is read
// from standard input, whatever the protocol: a token's text has its number, when it was sent, and how late that was (see
// upstream.c). Prints one JSON object: tokens in the time that counts, those lost, what process PID used of the processor for
// them, and in milliseconds how much longer gaps were than at the upstream, the time on the way, and how late upstream and client
// were themselves.
#include "common.h"

#define MAX_STREAMS 4096
#define STAMP_DIGITS 28
#define RAMP_NS 500000LL
#define SETTLE_NS 700000000LL
#define BEGIN_WITHIN_NS 15000000000LL
#define END_WITHIN_NS 2000000000LL
#define TICK_NS 1000000LL

typedef enum { IN_HEAD, IN_CHUNK_SIZE, IN_CHUNK, AFTER_CHUNK } Part;

typedef struct {
  int socket, has_ended;
  Part part;
  char head[400];
  int head_length, line_ends;
  long chunk_left;
  int stamp_length;
  char stamp[STAMP_DIGITS + 1];
  uint32_t expected;
  int64_t sent, arrived;
} Stream;

static Stream all[MAX_STREAMS];
static Samples added_gaps, on_the_way, upstream_late, client_late;
static int64_t window_begin = INT64_MAX, window_end = INT64_MAX;
static long tokens, lost;
static int begun, ended_early, finished;

static void on_token(Stream *stream, int64_t arrived) {
  uint32_t number = strtoul(stream->stamp, NULL, 10);
  int64_t sent = strtoll(stream->stamp + 7, NULL, 10) * 1000;
  // A protocol may say the whole text again at its end.
  if (number < stream->expected) return;
  if (number == 0) begun++;
  lost += number - stream->expected;
  stream->expected = number + 1;
  if (sent >= window_begin && sent < window_end) {
    tokens++;
    add_sample(&on_the_way, arrived - sent);
    add_sample(&upstream_late, strtoll(stream->stamp + 22, NULL, 10) * 1000);
    if (stream->sent) add_sample(&added_gaps, (arrived - stream->arrived) - (sent - stream->sent));
  }
  if (sent >= window_end && stream->sent < window_end) finished++;
  stream->sent = sent;
  stream->arrived = arrived;
}

static void read_text(Stream *stream, const char *text, long length, int64_t arrived) {
  for (const char *end = text + length; text < end;) {
    if (stream->stamp_length < 0) {
      text = memchr(text, '@', end - text);
      if (!text) return;
      text++;
      stream->stamp_length = 0;
    }
    while (text < end && stream->stamp_length < STAMP_DIGITS) stream->stamp[stream->stamp_length++] = *text++;
    if (stream->stamp_length < STAMP_DIGITS) return;
    stream->stamp[STAMP_DIGITS] = 0;
    on_token(stream, arrived);
    stream->stamp_length = -1;
  }
}

/** One byte of what surrounds the text: the head of the answer, and the sizes of chunks. */
static void read_framing(Stream *stream, char byte) {
  if (stream->part == IN_HEAD) {
    if (stream->head_length < 399) stream->head[stream->head_length++] = byte;
    stream->line_ends = byte == '\n' ? stream->line_ends + 1 : byte == '\r' ? stream->line_ends : 0;
    if (stream->line_ends < 2) return;
    if (strncmp(stream->head + 9, "200", 3)) die(stream->head);
    stream->part = IN_CHUNK_SIZE;
  } else if (stream->part == AFTER_CHUNK) {
    if (byte == '\n') stream->part = IN_CHUNK_SIZE;
  } else if (byte == '\n') {
    stream->part = IN_CHUNK;
    if (stream->chunk_left == 0) stream->has_ended = 1;
  } else if (byte != '\r') {
    stream->chunk_left = stream->chunk_left * 16 + (byte <= '9' ? byte - '0' : (byte | 32) - 'a' + 10);
  }
}

static void read_answer(Stream *stream, const char *bytes, long length) {
  int64_t arrived = now_ns();
  for (long at = 0; at < length && !stream->has_ended;) {
    if (stream->part != IN_CHUNK) {
      read_framing(stream, bytes[at++]);
      continue;
    }
    long part = length - at < stream->chunk_left ? length - at : stream->chunk_left;
    read_text(stream, bytes + at, part, arrived);
    at += part;
    stream->chunk_left -= part;
    if (stream->chunk_left == 0) stream->part = AFTER_CHUNK;
  }
}

static void read_from(int poll, Stream *stream) {
  static char bytes[65536];
  ssize_t got = read(stream->socket, bytes, sizeof bytes);
  if (got < 0 && errno == EAGAIN) return;
  if (got > 0) read_answer(stream, bytes, got);
  if (got > 0 && !stream->has_ended) return;
  ended_early++;
  epoll_ctl(poll, EPOLL_CTL_DEL, stream->socket, NULL);
}

static int64_t cpu_ns(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) < 0) die("the server has gone");
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/** What was sent in the window and has not come: at the pace of the stream until the window's end. */
static void count_missing(int streams, int64_t period_ns) {
  for (int at = 0; at < streams; at++) {
    int64_t from = all[at].sent > window_begin ? all[at].sent : window_begin;
    if (all[at].sent < window_end) lost += (window_end - from) / period_ns;
  }
}

int main(int count, char **arguments) {
  if (count != 6) die("usage: stream-client PORT PID STREAMS SECONDS PERIOD_MS < REQUEST");
  int port = atoi(arguments[1]), streams = atoi(arguments[3]), opened = 0, poll = start_polling();
  int64_t window_ns = atof(arguments[4]) * 1e9, period_ns = atof(arguments[5]) * 1e6;
  clockid_t server;
  if (clock_getcpuclockid(atoi(arguments[2]), &server)) die("no such process");
  static char request[65536];
  size_t length = read_request(request, sizeof request);
  int64_t started = now_ns(), next = started, cpu_begin = 0, cpu_end = 0;
  struct epoll_event events[MAX_EVENTS];
  while (finished < streams && ended_early == 0) {
    int ready = wait_until(poll, events, next);
    for (int at = 0; at < ready; at++) read_from(poll, events[at].data.ptr);
    int64_t now = now_ns();
    if (now < next) continue;
    if (opened < streams) {
      Stream *stream = &all[opened++];
      stream->stamp_length = -1;
      stream->socket = connect_to(port);
      watch(poll, stream->socket, stream);
      if (write(stream->socket, request, length) != (ssize_t)length) die("write");
      next += RAMP_NS;
      continue;
    }
    if (now >= window_begin && now < window_end) add_sample(&client_late, now - next);
    next = now - next > TICK_NS ? now : next + TICK_NS;
    if (begun == streams && window_begin == INT64_MAX) {
      window_begin = now + SETTLE_NS;
      window_end = window_begin + window_ns;
    }
    if (!cpu_begin && now >= window_begin) cpu_begin = cpu_ns(server);
    if (!cpu_end && now >= window_end) cpu_end = cpu_ns(server);
    if (begun < streams && now > started + BEGIN_WITHIN_NS) {
      fprintf(stderr, "only %d of %d streams have begun\n", begun, streams);
      return 1;
    }
    if (now > window_end && now - window_end > END_WITHIN_NS) break;
  }
  if (ended_early) {
    fprintf(stderr, "a stream ended early\n");
    return 1;
  }
  count_missing(streams, period_ns);
  printf("{\"streams\":%d,\"tokens\":%ld,\"lost\":%ld,\"cpuMicroseconds\":%.1f,", streams, tokens, lost,
         (cpu_end - cpu_begin) / 1e3);
  print_samples(stdout, "addedGapMs", &added_gaps);
  printf(",");
  print_samples(stdout, "onTheWayMs", &on_the_way);
  printf(",");
  print_samples(stdout, "upstreamLateMs", &upstream_late);
  printf(",");
  print_samples(stdout, "clientLateMs", &client_late);
  printf("}\n");
}
