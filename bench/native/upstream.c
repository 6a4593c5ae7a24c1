// A server with the OpenAI wire that costs next to nothing. A chat request whose body has the word "paced" is answered with a
// stream that has no end: a token every PERIOD_NS, and the streams take turns, so that no two are due at the same time. Each
// token says its number on the stream, when it was sent and how late that was (@NUMBER,MICROSECONDS,MICROSECONDS). Any other gets
// eight tokens at once. GET /schedule/N prepares N paced streams. A stream whose reader is too slow is closed.
#include "common.h"

#define PERIOD_NS 20000000LL
/** What is due within so short a time is sent together: waking up costs more than a token. */
#define GRAIN_NS 50000LL
#define MAX_STREAMS 4096
#define MAX_REQUEST 65536
#define HEAD "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
#define FIELDS "\"id\":\"chatcmpl-4LxgtbrCqKcy7SBxIoHSN0e8\",\"object\":\"chat.completion.chunk\",\"created\":1795394878,\"model\":\"bench\""
#define MODELS "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"owned_by\":\"bench\"}]}"

typedef struct {
  int socket, slot, length;
  char request[MAX_REQUEST];
} Connection;

static Connection *slots[MAX_STREAMS];
static uint32_t sent_on[MAX_STREAMS];
static int streams;
static int64_t epoch, tick;
static char begin[2048], whole[16384], token[1024];
static int begin_length, whole_length, token_length, stamp_at;

/** Adds one event, as one piece of a chunked body; answers where its text begins. */
static char *add_event(char *into, const char *fields) {
  char event[1024];
  int length = snprintf(event, sizeof event, "data: %s\n\n", fields);
  char *end = into + strlen(into);
  int head = sprintf(end, "%x\r\n", length);
  sprintf(end + head, "%s\r\n", event);
  return end + head;
}

static char *add_choice(char *into, const char *delta, const char *reason) {
  char fields[768];
  snprintf(fields, sizeof fields, "{" FIELDS ",\"choices\":[{\"index\":0,\"delta\":%s,\"logprobs\":null,\"finish_reason\":%s}]}",
           delta, reason);
  return add_event(into, fields);
}

static void prepare_answers(void) {
  const char *words[] = {"The", " capital", " of", " France", " is", " Paris", ".", " It"};
  strcpy(begin, HEAD);
  add_choice(begin, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
  strcpy(whole, begin);
  for (int at = 0; at < 8; at++) {
    char delta[64];
    snprintf(delta, sizeof delta, "{\"content\":\"%s\"}", words[at]);
    add_choice(whole, delta, "null");
  }
  add_choice(whole, "{}", "\"length\"");
  add_event(whole, "{" FIELDS ",\"choices\":[],\"usage\":{\"prompt_tokens\":37,\"completion_tokens\":8,\"total_tokens\":45}}");
  add_event(whole, "[DONE]");
  strcat(whole, "0\r\n\r\n");
  char *event = add_choice(token, "{\"content\":\"@000000,00000000000000,000000 \"}", "null");
  stamp_at = strchr(event, '@') - token + 1;
  begin_length = strlen(begin);
  whole_length = strlen(whole);
  token_length = strlen(token);
}

static void close_connection(Connection *connection) {
  if (connection->slot >= 0) slots[connection->slot] = NULL;
  close(connection->socket);
  free(connection);
}

static int write_all(Connection *connection, const char *bytes, int length) {
  if (send(connection->socket, bytes, length, MSG_NOSIGNAL) == length) return 1;
  close_connection(connection);
  return 0;
}

/** Where `number` has its last digit at `end`. */
static void put_digits(char *end, uint64_t number, int digits) {
  for (int at = 0; at < digits; at++, number /= 10) end[-at] = '0' + number % 10;
}

static int send_token(Connection *connection, uint32_t number, int64_t due) {
  int64_t now = now_ns(), late = (now - due) / 1000;
  put_digits(token + stamp_at + 5, number, 6);
  put_digits(token + stamp_at + 20, now / 1000, 14);
  put_digits(token + stamp_at + 27, late < 999999 ? late : 999999, 6);
  return write_all(connection, token, token_length);
}

/** All that is due; answers when the next one is. */
static int64_t send_due_tokens(void) {
  int64_t woken = now_ns();
  for (;; tick++) {
    int64_t due = epoch + tick * PERIOD_NS / streams;
    if (now_ns() < due) return due > woken + GRAIN_NS ? due : woken + GRAIN_NS;
    int slot = tick % streams;
    if (slots[slot] && send_token(slots[slot], sent_on[slot], due)) sent_on[slot]++;
  }
}

static int start_stream(Connection *connection) {
  int slot = 0;
  while (slot < streams && slots[slot]) slot++;
  if (slot == streams) return write_all(connection, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", 40);
  if (!write_all(connection, begin, begin_length)) return 0;
  connection->slot = slot;
  slots[slot] = connection;
  sent_on[slot] = 0;
  return 1;
}

/** Streams of before stay open, and get nothing more. */
static void start_schedule(int count) {
  for (int slot = 0; slot < streams; slot++) {
    if (slots[slot]) slots[slot]->slot = -1;
    slots[slot] = NULL;
  }
  streams = count < 1 ? 1 : count > MAX_STREAMS ? MAX_STREAMS : count;
  epoch = now_ns();
  tick = 0;
}

static int answer_get(Connection *connection) {
  char answer[1024];
  const char *status = "200 OK", *body = "{}";
  if (!strncmp(connection->request, "GET /v1/models ", 15)) body = MODELS;
  else if (!strncmp(connection->request, "GET /schedule/", 14)) start_schedule(atoi(connection->request + 14));
  else status = "404 Not Found";
  int length = snprintf(answer, sizeof answer,
                        "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", status,
                        strlen(body), body);
  return write_all(connection, answer, length);
}

static int answer_request(Connection *connection) {
  if (connection->request[0] == 'G') return answer_get(connection);
  if (strstr(connection->request, "paced")) return start_stream(connection);
  return write_all(connection, whole, whole_length);
}

/** Where the first request ends; 0 while it is not whole. */
static int request_end(Connection *connection) {
  char *end = strstr(connection->request, "\r\n\r\n");
  if (!end) return 0;
  char *length = strcasestr(connection->request, "\ncontent-length:");
  int whole_request = end + 4 - connection->request + (length && length < end ? atoi(length + 16) : 0);
  return connection->length >= whole_request ? whole_request : 0;
}

static void read_from(Connection *connection) {
  ssize_t got = read(connection->socket, connection->request + connection->length, MAX_REQUEST - 1 - connection->length);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return close_connection(connection);
  connection->length += got;
  connection->request[connection->length] = 0;
  for (int end; (end = request_end(connection)) > 0;) {
    if (!answer_request(connection)) return;
    memmove(connection->request, connection->request + end, connection->length - end + 1);
    connection->length -= end;
  }
}

static void accept_from(int poll, int listener) {
  for (int socket; (socket = accept(listener, NULL, NULL)) >= 0;) {
    Connection *connection = calloc(1, sizeof *connection);
    connection->socket = socket;
    connection->slot = -1;
    prepare_socket(socket);
    watch(poll, socket, connection);
  }
}

int main(void) {
  struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = start_polling();
  if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0) die("listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  prepare_answers();
  start_schedule(1);
  watch(poll, listener, NULL);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  struct epoll_event events[MAX_EVENTS];
  for (;;) {
    int count = wait_until(poll, events, send_due_tokens());
    for (int at = 0; at < count; at++) {
      if (events[at].data.ptr) read_from(events[at].data.ptr);
      else accept_from(poll, listener);
    }
  }
}
