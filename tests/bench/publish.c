/* The load generator: contract-shaped telemetry at QoS 1 over one MQTT 3.1.1 connection of the loopback interface.
 *
 *   publish port=N user=U password=P devices=N [area=990101] [other=AREA] [boot=1] [seconds=S] [messages=N] [rate=N] [samples=1]
 *           [window=2000] [backlog=N]
 *
 * Message i is device (i mod devices)'s next one: device names are bench-0000000 and on, `seq` counts up, `ts` is the
 * time of publishing and rises strictly per device. It ends after `seconds` or `messages`, whichever is first, when all
 * is acknowledged. `rate` is messages/s, none: flat out. `window` is how many the broker may leave unacknowledged.
 * With `backlog` the standard input says, a number a line, how many messages the consumer has dealt with, and no more
 * than `backlog` are published ahead of that: so a long run is at the consumer's pace, and the broker's queue bounded.
 * Prints "published N" at the end; a line on standard error and status 1 where something is wrong.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PAYLOAD = 65536, OUT = 1 << 18, ENOUGH = 1 << 16 };

static const char *option(int count, char **given, const char *name, const char *otherwise) {
    size_t length = strlen(name);
    for (int i = 1; i < count; i++)
        if (!strncmp(given[i], name, length) && given[i][length] == '=') return given[i] + length + 1;
    return otherwise;
}

static void fail(const char *what) {
    fprintf(stderr, "publish: %s\n", what);
    exit(1);
}

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned char *text(unsigned char *to, const char *from) {
    size_t length = strlen(from);
    *to++ = (unsigned char)(length >> 8);
    *to++ = (unsigned char)length;
    memcpy(to, from, length);
    return to + length;
}

static unsigned char *header(unsigned char *to, unsigned char kind, size_t length) {
    *to++ = kind;
    do {
        unsigned char byte = length & 127;
        length >>= 7;
        *to++ = length ? byte | 128 : byte;
    } while (length);
    return to;
}

static void write_all(int to, const unsigned char *data, size_t length) {
    while (length) {
        ssize_t written = write(to, data, length);
        if (written <= 0) fail("the broker closed the connection");
        data += written;
        length -= (size_t)written;
    }
}

static int connect_to(int port, const char *user, const char *password) {
    int s = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(s, (struct sockaddr *)&address, sizeof address)) fail("no broker at this port");
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    unsigned char body[512], packet[520], answer[4], *p = body;
    char client[32];
    snprintf(client, sizeof client, "bench-load-%d", getpid());
    p = text(p, "MQTT");
    *p++ = 4, *p++ = 0xC2, *p++ = 0, *p++ = 0; /* 3.1.1; user, password, clean session; no keep-alive */
    p = text(text(text(p, client), user), password);
    unsigned char *end = header(packet, 0x10, (size_t)(p - body));
    memcpy(end, body, (size_t)(p - body));
    write_all(s, packet, (size_t)(end - packet) + (size_t)(p - body));
    if (recv(s, answer, 4, MSG_WAITALL) != 4 || answer[3]) fail("refused by the broker");
    return s;
}

/* What the consumer has dealt with, by the last whole line. */
static long dealt_with(long known) {
    static char line[64];
    static size_t used;
    char data[1024];
    ssize_t got;
    while ((got = read(STDIN_FILENO, data, sizeof data)) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (data[i] == '\n') line[used] = 0, known = atol(line), used = 0;
            else if (used < sizeof line - 1) line[used++] = data[i];
        }
    return known;
}

int main(int count, char **given) {
    const char *area = option(count, given, "area", "990101"), *other = option(count, given, "other", area);
    long devices = atol(option(count, given, "devices", "0")), boot = atol(option(count, given, "boot", "1"));
    long most = atol(option(count, given, "messages", "0")), window = atol(option(count, given, "window", "2000"));
    long backlog = atol(option(count, given, "backlog", "0")), samples = atol(option(count, given, "samples", "1"));
    double lasts = atof(option(count, given, "seconds", "0")), rate = atof(option(count, given, "rate", "0"));
    if (devices < 1 || (most < 1 && lasts <= 0) || samples < 1 || samples > 512) fail("wrong use; see publish.c");
    int s = connect_to(atoi(option(count, given, "port", "0")), option(count, given, "user", ""), option(count, given, "password", ""));
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);

    long long *last = calloc((size_t)devices, sizeof *last);
    static unsigned char out[OUT + MOST_PAYLOAD + 256], in[65536];
    static char body[MOST_PAYLOAD];
    long sent = 0, acknowledged = 0, consumed = 0, loose = 0;
    double start = seconds_of(CLOCK_MONOTONIC);
    for (int ended = 0; !ended || acknowledged < sent;) {
        double passed = seconds_of(CLOCK_MONOTONIC) - start;
        if ((lasts > 0 && passed >= lasts) || (most && sent >= most)) ended = 1;
        if (backlog) consumed = dealt_with(consumed);
        unsigned char *p = out;
        long may = ended ? 0 : window - (sent - acknowledged);
        if (backlog && consumed + backlog - sent < may) may = consumed + backlog - sent;
        if (rate > 0 && (long)(passed * rate) - sent < may) may = (long)(passed * rate) - sent;
        if (most && most - sent < may) may = most - sent;
        long long now = (long long)(seconds_of(CLOCK_REALTIME) * 1000);
        for (; may > 0 && p - out < ENOUGH; may--, sent++) {
            long d = sent % devices, seq = sent / devices;
            long long ts = now > last[d] ? now : last[d] + 1;
            char topic[96], *b = body;
            b += sprintf(b, "{\"boot\":%ld,\"seq\":%ld,", boot, seq);
            if (samples > 1) b += sprintf(b, "\"samples\":[{");
            for (long i = 0; i < samples; i++)
                b += sprintf(b, "%s\"ts\":%lld,\"values\":{\"heart_rate\":%ld,\"spo2\":%ld,\"battery\":%ld}", i ? "},{" : "",
                             ts + i - (samples - 1), 60 + (d + seq) % 40, 94 + (d + seq) % 6, 30 + d % 70);
            b += sprintf(b, samples > 1 ? "}]}" : "}");
            last[d] = samples > 1 ? ts + samples : ts;
            sprintf(topic, "care/v1/%s/bench-%07ld/telemetry", d % 2 ? other : area, d);
            size_t length = (size_t)(b - body);
            p = text(header(p, 0x32, 2 + strlen(topic) + 2 + length), topic);
            long id = sent % 65535 + 1;
            *p++ = (unsigned char)(id >> 8), *p++ = (unsigned char)id;
            memcpy(p, body, length);
            p += length;
        }
        write_all(s, out, (size_t)(p - out));
        if (p == out) { /* nothing to send now: wait for an acknowledgement, the consumer, or the time */
            struct pollfd ready = {.fd = s, .events = POLLIN};
            poll(&ready, 1, 1);
        }
        ssize_t got = recv(s, in, sizeof in, MSG_DONTWAIT);
        if (got == 0) fail("the broker closed the connection");
        if (got > 0) loose += got, acknowledged += loose / 4, loose %= 4;
    }
    printf("published %ld\n", sent);
    return 0;
}
