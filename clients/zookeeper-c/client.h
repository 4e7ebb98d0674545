/* Handles of ZooKeeper's C library, connected. */
#ifndef OTTLA_CLIENT_H
#define OTTLA_CLIENT_H

#include <zookeeper/zookeeper.h>

#define SESSION_MS 20000
#define EVENTS_MAX 64

/* The events that a watcher got, in order. */
struct events {
    volatile int count;
    int types[EVENTS_MAX];
    char paths[EVENTS_MAX][256];
    volatile int connected;
    volatile int expired;
};

/* HOST:PORT,… of the servers, from the command line. */
extern const char *servers;

/* HOST:PORT of one server; answers 0 when there are not so many. */
int server_at(int place, char *address, size_t size);

/* A watcher whose context is a `struct events`. */
void note_event(zhandle_t *handle, int type, int state, const char *path, void *context);

/* A handle that is connected, or NULL after 30 s. `id` takes up a session, or is NULL. */
zhandle_t *connect_to(const char *hosts, struct events *events, const clientid_t *id);

/* A handle of any server with a new session. */
zhandle_t *connect_any(struct events *events);

#endif
