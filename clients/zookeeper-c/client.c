#include "client.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

int server_at(int place, char *address, size_t size) {
    const char *at = servers;
    for (int skipped = 0; skipped < place; skipped++) {
        at = strchr(at, ',');
        if (at == NULL) {
            return 0;
        }
        at++;
    }
    snprintf(address, size, "%.*s", (int)strcspn(at, ","), at);
    return 1;
}

void note_event(zhandle_t *handle, int type, int state, const char *path, void *context) {
    struct events *events = context;
    (void)handle;
    if (type == ZOO_SESSION_EVENT) {
        if (state == ZOO_CONNECTED_STATE) {
            __atomic_add_fetch(&events->connected, 1, __ATOMIC_SEQ_CST);
        } else if (state == ZOO_EXPIRED_SESSION_STATE) {
            __atomic_add_fetch(&events->expired, 1, __ATOMIC_SEQ_CST);
        }
        return;
    }
    int place = events->count;
    if (place < EVENTS_MAX) {
        events->types[place] = type;
        snprintf(events->paths[place], sizeof events->paths[place], "%s", path);
        __atomic_add_fetch(&events->count, 1, __ATOMIC_SEQ_CST);
    }
}

zhandle_t *connect_to(const char *hosts, struct events *events, const clientid_t *id) {
    memset(events, 0, sizeof *events);
    zhandle_t *handle = zookeeper_init(hosts, note_event, SESSION_MS, id, events, 0);
    if (handle != NULL && !wait_until(&events->connected, 1)) {
        zookeeper_close(handle);
        return NULL;
    }
    return handle;
}

zhandle_t *connect_any(struct events *events) {
    return connect_to(servers, events, NULL);
}
