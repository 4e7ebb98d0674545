/* ZooKeeper's C library against the keeper: --connect HOST:PORT,… [--only WORD]. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "suite.h"

#define LENGTH_NONE (-1)
#define BIG_BYTES 1000000
#define IN_FLIGHT 2000

const char *servers;

static struct events session;

#define START(handle)                             \
    zhandle_t *handle = connect_any(&session);    \
    CHECK(handle != NULL, "not connected")

static int make(zhandle_t *handle, const char *path, const char *data) {
    int length = data == NULL ? LENGTH_NONE : (int)strlen(data);
    return zoo_create(handle, path, data, length, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
}

static const char *create_read_change_delete(void) {
    char path[256], name[256], data[64];
    struct Stat made, read, set;
    START(handle);
    fresh_path(path, sizeof path, "nodes");
    CHECK_CODE(zoo_create2(handle, path, "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, name, sizeof name, &made), ZOK);
    CHECK(strcmp(name, path) == 0, "created %s", name);
    CHECK(made.dataLength == 3 && made.version == 0 && made.czxid == made.mzxid, "the stat of a new znode");
    int length = sizeof data;
    CHECK_CODE(zoo_get(handle, path, 0, data, &length, &read), ZOK);
    CHECK(length == 3 && memcmp(data, "one", 3) == 0, "read %d bytes", length);
    CHECK(made.czxid == read.czxid && made.ctime == read.ctime && made.mtime == read.mtime && made.pzxid == read.pzxid,
          "the stat that create answered is another than the one that is read");
    CHECK_CODE(zoo_set2(handle, path, "second", 6, 0, &set), ZOK);
    CHECK(set.version == 1 && set.dataLength == 6 && set.mzxid > made.mzxid, "the stat behind a set");
    CHECK_CODE(zoo_set(handle, path, NULL, LENGTH_NONE, -1), ZOK);
    length = sizeof data;
    CHECK_CODE(zoo_get(handle, path, 0, data, &length, &read), ZOK);
    CHECK(length == LENGTH_NONE && read.dataLength == 0, "data that is none has length %d", length);
    CHECK_CODE(zoo_exists(handle, path, 0, &read), ZOK);
    CHECK_CODE(zoo_delete(handle, path, 2), ZOK);
    CHECK_CODE(zoo_exists(handle, path, 0, &read), ZNONODE);
    zookeeper_close(handle);
    return NULL;
}

static const char *errors_are_told_by_their_codes(void) {
    char path[256], child[300];
    START(handle);
    fresh_path(path, sizeof path, "errors");
    snprintf(child, sizeof child, "%s/child", path);
    CHECK_CODE(make(handle, child, ""), ZNONODE);
    CHECK_CODE(make(handle, path, ""), ZOK);
    CHECK_CODE(make(handle, path, ""), ZNODEEXISTS);
    CHECK_CODE(make(handle, child, ""), ZOK);
    CHECK_CODE(zoo_delete(handle, path, -1), ZNOTEMPTY);
    CHECK_CODE(zoo_set(handle, path, "", 0, 5), ZBADVERSION);
    CHECK_CODE(zoo_delete(handle, child, 5), ZBADVERSION);
    CHECK_CODE(make(handle, "relative", ""), ZBADARGUMENTS);
    struct ACL_vector none = {0, NULL};
    snprintf(child, sizeof child, "%s/other", path);
    CHECK_CODE(zoo_create(handle, child, "", 0, &none, 0, NULL, 0), ZINVALIDACL);
    CHECK_CODE(zoo_create(handle, child, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
    snprintf(child, sizeof child, "%s/other/below", path);
    CHECK_CODE(make(handle, child, ""), ZNOCHILDRENFOREPHEMERALS);
    zookeeper_close(handle);
    return NULL;
}

static const char *names_are_numbered(void) {
    char path[256], asked[300], name[400], expected[400];
    START(handle);
    fresh_path(path, sizeof path, "sequence");
    CHECK_CODE(make(handle, path, ""), ZOK);
    snprintf(asked, sizeof asked, "%s/n-", path);
    for (int number = 0; number < 3; number++) {
        int flags = number == 1 ? ZOO_EPHEMERAL | ZOO_SEQUENCE : ZOO_SEQUENCE;
        CHECK_CODE(zoo_create(handle, asked, "", 0, &ZOO_OPEN_ACL_UNSAFE, flags, name, sizeof name), ZOK);
        snprintf(expected, sizeof expected, "%s%010d", asked, number);
        CHECK(strcmp(name, expected) == 0, "%s, not %s", name, expected);
    }
    struct Stat stat;
    snprintf(name, sizeof name, "%s0000000001", asked);
    CHECK_CODE(zoo_exists(handle, name, 0, &stat), ZOK);
    CHECK(stat.ephemeralOwner == zoo_client_id(handle)->client_id, "the owner of an ephemeral");
    zookeeper_close(handle);
    return NULL;
}

static const char *containers_and_times_to_live(void) {
    char path[256], child[300];
    struct Stat stat;
    START(handle);
    fresh_path(path, sizeof path, "container");
    CHECK_CODE(zoo_create(handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, NULL, 0), ZOK);
    snprintf(child, sizeof child, "%s/child", path);
    CHECK_CODE(zoo_create_ttl(handle, child, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 500, NULL, 0), ZOK);
    /* The child goes after its time, and then the container that it leaves empty. */
    int turn = 0;
    while (turn < 300 && zoo_exists(handle, path, 0, &stat) == ZOK) {
        usleep(100000);
        turn++;
    }
    CHECK(turn < 300, "the container is there after 30 s");
    CHECK(turn > 2, "the container went before its child's time");
    zookeeper_close(handle);
    return NULL;
}

static const char *big_data_comes_back(void) {
    char path[256];
    struct Stat stat;
    START(handle);
    fresh_path(path, sizeof path, "big");
    char *data = malloc(BIG_BYTES), *read = malloc(BIG_BYTES);
    CHECK(data != NULL && read != NULL, "no memory");
    for (int i = 0; i < BIG_BYTES; i++) {
        data[i] = (char)(i * 31);
    }
    CHECK_CODE(zoo_create(handle, path, data, BIG_BYTES, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
    int length = BIG_BYTES;
    CHECK_CODE(zoo_get(handle, path, 0, read, &length, &stat), ZOK);
    CHECK(length == BIG_BYTES && memcmp(data, read, BIG_BYTES) == 0, "%d bytes came back", length);
    free(data);
    free(read);
    zookeeper_close(handle);
    return NULL;
}

static const char *children_are_listed(void) {
    char path[256], child[300];
    struct String_vector names;
    struct Stat stat;
    START(handle);
    fresh_path(path, sizeof path, "children");
    CHECK_CODE(make(handle, path, ""), ZOK);
    for (int number = 0; number < 300; number++) {
        snprintf(child, sizeof child, "%s/child-%03d", path, number);
        CHECK_CODE(make(handle, child, ""), ZOK);
    }
    CHECK_CODE(zoo_get_children2(handle, path, 0, &names, &stat), ZOK);
    CHECK(names.count == 300 && stat.numChildren == 300 && stat.cversion == 300, "%d children", names.count);
    deallocate_String_vector(&names);
    CHECK_CODE(zoo_get_children(handle, "/zookeeper", 0, &names), ZOK);
    CHECK(names.count == 2, "%d children of /zookeeper", names.count);
    deallocate_String_vector(&names);
    zookeeper_close(handle);
    return NULL;
}

static const char *watches_fire_once_with_type_and_path(void) {
    static struct events seen;
    char path[256], child[300], data[8];
    struct Stat stat;
    struct String_vector names;
    memset(&seen, 0, sizeof seen);
    START(handle);
    fresh_path(path, sizeof path, "watches");
    snprintf(child, sizeof child, "%s/child", path);
    CHECK_CODE(zoo_wexists(handle, path, note_event, &seen, &stat), ZNONODE);
    CHECK_CODE(make(handle, path, ""), ZOK);
    CHECK(wait_until(&seen.count, 1), "no event of the creation");
    int length = sizeof data;
    CHECK_CODE(zoo_wget(handle, path, note_event, &seen, data, &length, &stat), ZOK);
    CHECK_CODE(zoo_set(handle, path, "1", 1, -1), ZOK);
    CHECK_CODE(zoo_set(handle, path, "2", 1, -1), ZOK);
    CHECK(wait_until(&seen.count, 2), "no event of the change");
    CHECK_CODE(zoo_wget_children2(handle, path, note_event, &seen, &names, &stat), ZOK);
    deallocate_String_vector(&names);
    CHECK_CODE(make(handle, child, ""), ZOK);
    CHECK(wait_until(&seen.count, 3), "no event of the children");
    CHECK_CODE(zoo_wexists(handle, child, note_event, &seen, &stat), ZOK);
    CHECK_CODE(zoo_delete(handle, child, -1), ZOK);
    CHECK(wait_until(&seen.count, 4), "no event of the deletion");
    const int types[] = {ZOO_CREATED_EVENT, ZOO_CHANGED_EVENT, ZOO_CHILD_EVENT, ZOO_DELETED_EVENT};
    const char *paths[] = {path, path, path, child};
    CHECK(seen.count == 4, "%d events", seen.count);
    for (int i = 0; i < 4; i++) {
        CHECK(seen.types[i] == types[i] && strcmp(seen.paths[i], paths[i]) == 0, "event %d is %d of %s", i,
              seen.types[i], seen.paths[i]);
    }
    zookeeper_close(handle);
    return NULL;
}

static const char *watches_are_removed(void) {
    static struct events seen;
    char path[256], data[8];
    struct Stat stat;
    memset(&seen, 0, sizeof seen);
    START(handle);
    fresh_path(path, sizeof path, "removed");
    CHECK_CODE(make(handle, path, ""), ZOK);
    int length = sizeof data;
    CHECK_CODE(zoo_wget(handle, path, note_event, &seen, data, &length, &stat), ZOK);
    CHECK_CODE(zoo_remove_watches(handle, path, ZWATCHTYPE_DATA, note_event, &seen, 0), ZOK);
    CHECK_CODE(zoo_remove_watches(handle, path, ZWATCHTYPE_DATA, note_event, &seen, 0), ZNOWATCHER);
    CHECK_CODE(zoo_set(handle, path, "1", 1, -1), ZOK);
    CHECK_CODE(zoo_exists(handle, path, 0, &stat), ZOK);
    for (int i = 0; i < seen.count; i++) {
        CHECK(seen.types[i] != ZOO_CHANGED_EVENT, "a watch that was removed has fired");
    }
    zookeeper_close(handle);
    return NULL;
}

static const char *multi_is_all_or_nothing(void) {
    char path[256], one[300], two[300], made[300];
    struct Stat stat;
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    START(handle);
    fresh_path(path, sizeof path, "multi");
    snprintf(one, sizeof one, "%s/one", path);
    snprintf(two, sizeof two, "%s/two", path);
    CHECK_CODE(make(handle, path, ""), ZOK);
    zoo_check_op_init(&ops[0], path, 0);
    zoo_create_op_init(&ops[1], one, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
    zoo_set_op_init(&ops[2], one, "yy", 2, 0, &stat);
    zoo_create_op_init(&ops[3], two, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0);
    CHECK_CODE(zoo_multi(handle, 4, ops, results), ZOK);
    CHECK(strcmp(made, one) == 0 && stat.version == 1, "created %s, version %d", made, stat.version);
    zoo_delete_op_init(&ops[0], two, -1);
    zoo_set_op_init(&ops[1], one, "zzz", 3, 7, &stat);
    zoo_delete_op_init(&ops[2], one, -1);
    CHECK_CODE(zoo_multi(handle, 3, ops, results), ZBADVERSION);
    CHECK(results[0].err == ZOK && results[1].err == ZBADVERSION && results[2].err == ZRUNTIMEINCONSISTENCY,
          "outcomes %d %d %d", results[0].err, results[1].err, results[2].err);
    CHECK_CODE(zoo_exists(handle, two, 0, &stat), ZOK);
    zookeeper_close(handle);
    return NULL;
}

/* What the asynchronous calls have brought, in the thread that brings it. */
static volatile int answered;
static int out_of_order;

static void set_answered(int code, const struct Stat *stat, const void *data) {
    int number = (int)(long)data;
    if (code != ZOK || stat->version != number + 1 || answered != number * 2) {
        out_of_order++;
    }
    __atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
}

static void get_answered(int code, const char *value, int length, const struct Stat *stat, const void *data) {
    int number = (int)(long)data;
    char text[16];
    (void)stat;
    snprintf(text, sizeof text, "%d", number);
    if (code != ZOK || length != (int)strlen(text) || memcmp(value, text, (size_t)length) != 0 ||
        answered != number * 2 + 1) {
        out_of_order++;
    }
    __atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
}

static const char *answers_come_in_order(void) {
    char path[256], text[16];
    START(handle);
    fresh_path(path, sizeof path, "async");
    CHECK_CODE(make(handle, path, ""), ZOK);
    answered = 0;
    out_of_order = 0;
    for (long number = 0; number < IN_FLIGHT; number++) {
        snprintf(text, sizeof text, "%ld", number);
        CHECK_CODE(zoo_aset(handle, path, text, (int)strlen(text), -1, set_answered, (void *)number), ZOK);
        CHECK_CODE(zoo_aget(handle, path, 0, get_answered, (void *)number), ZOK);
    }
    CHECK(wait_until(&answered, 2 * IN_FLIGHT), "%d answers", answered);
    CHECK(out_of_order == 0, "%d answers are wrong or out of order", out_of_order);
    zookeeper_close(handle);
    return NULL;
}

static volatile int synced;

static void sync_answered(int code, const char *value, const void *data) {
    (void)value;
    (void)data;
    __atomic_store_n(&synced, code == ZOK ? 1 : -1, __ATOMIC_SEQ_CST);
}

static const char *what_one_wrote_another_reads_after_a_sync(void) {
    static struct events other_session;
    char path[256], text[16], data[16];
    struct Stat stat;
    START(writer);
    zhandle_t *reader = connect_any(&other_session);
    CHECK(reader != NULL, "not connected");
    fresh_path(path, sizeof path, "sync");
    CHECK_CODE(make(writer, path, ""), ZOK);
    for (int number = 0; number < 30; number++) {
        snprintf(text, sizeof text, "%d", number);
        CHECK_CODE(zoo_set(writer, path, text, (int)strlen(text), -1), ZOK);
        synced = 0;
        CHECK_CODE(zoo_async(reader, path, sync_answered, NULL), ZOK);
        CHECK(wait_until(&synced, 1), "sync is not answered");
        int length = sizeof data;
        CHECK_CODE(zoo_get(reader, path, 0, data, &length, &stat), ZOK);
        CHECK(length == (int)strlen(text) && memcmp(data, text, (size_t)length) == 0, "old data in round %d", number);
    }
    zookeeper_close(reader);
    zookeeper_close(writer);
    return NULL;
}

static volatile int authenticated;

static void auth_answered(int code, const void *data) {
    (void)data;
    __atomic_store_n(&authenticated, code == ZOK ? 1 : -1, __ATOMIC_SEQ_CST);
}

static const char *digest_guards_a_znode(void) {
    static struct events other_session;
    char path[256], data[16];
    struct Stat stat;
    struct ACL_vector acl;
    START(owner);
    zhandle_t *stranger = connect_any(&other_session);
    CHECK(stranger != NULL, "not connected");
    fresh_path(path, sizeof path, "digest");
    authenticated = 0;
    CHECK_CODE(zoo_add_auth(owner, "digest", "alice:wonderland", 16, auth_answered, NULL), ZOK);
    CHECK(wait_until(&authenticated, 1), "auth is not answered");
    CHECK_CODE(zoo_create(owner, path, "secret", 6, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
    CHECK_CODE(zoo_get_acl(owner, path, &acl, &stat), ZOK);
    CHECK(acl.count == 1 && strcmp(acl.data[0].id.scheme, "digest") == 0, "an ACL of %d entries", acl.count);
    CHECK(strncmp(acl.data[0].id.id, "alice:", 6) == 0, "the identity %s", acl.data[0].id.id);
    deallocate_ACL_vector(&acl);
    synced = 0;
    CHECK_CODE(zoo_async(stranger, path, sync_answered, NULL), ZOK);
    CHECK(wait_until(&synced, 1), "sync is not answered");
    int length = sizeof data;
    CHECK_CODE(zoo_get(stranger, path, 0, data, &length, &stat), ZNOAUTH);
    CHECK_CODE(zoo_set(stranger, path, "", 0, -1), ZNOAUTH);
    CHECK_CODE(zoo_set_acl(stranger, path, -1, &ZOO_OPEN_ACL_UNSAFE), ZNOAUTH);
    CHECK_CODE(zoo_set_acl(owner, path, 0, &ZOO_READ_ACL_UNSAFE), ZOK);
    synced = 0;
    CHECK_CODE(zoo_async(stranger, path, sync_answered, NULL), ZOK);
    CHECK(wait_until(&synced, 1), "sync is not answered");
    length = sizeof data;
    CHECK_CODE(zoo_get(stranger, path, 0, data, &length, &stat), ZOK);
    CHECK(length == 6, "%d bytes of the secret", length);
    zookeeper_close(stranger);
    zookeeper_close(owner);
    return NULL;
}

static const char *a_session_outlives_its_process(void) {
    static struct events child_session;
    char path[256], first[128], second[128];
    struct Stat stat;
    clientid_t id;
    int pipes[2];
    CHECK(server_at(0, first, sizeof first), "no server");
    if (!server_at(1, second, sizeof second)) {
        strcpy(second, first);
    }
    fresh_path(path, sizeof path, "taken-up");
    CHECK(pipe(pipes) == 0, "no pipe");
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0, "no process");
    if (child == 0) {
        zhandle_t *handle = connect_to(first, &child_session, NULL);
        if (handle != NULL &&
            zoo_create(handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0) == ZOK &&
            write(pipes[1], zoo_client_id(handle), sizeof id) == (ssize_t)sizeof id) {
            pause();
        }
        _exit(1);
    }
    close(pipes[1]);
    ssize_t got = read(pipes[0], &id, sizeof id);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(pipes[0]);
    CHECK(got == (ssize_t)sizeof id, "the process has made no session");
    /* On another server, where there is one. */
    zhandle_t *handle = connect_to(second, &session, &id);
    CHECK(handle != NULL, "not connected");
    CHECK(zoo_client_id(handle)->client_id == id.client_id, "another session");
    CHECK_CODE(zoo_exists(handle, path, 0, &stat), ZOK);
    CHECK(stat.ephemeralOwner == id.client_id, "the owner of the ephemeral");
    CHECK_CODE(zookeeper_close(handle), ZOK);
    START(later);
    synced = 0;
    CHECK_CODE(zoo_async(later, path, sync_answered, NULL), ZOK);
    CHECK(wait_until(&synced, 1), "sync is not answered");
    CHECK_CODE(zoo_exists(later, path, 0, &stat), ZNONODE);
    zookeeper_close(later);
    return NULL;
}

static const char *a_session_that_was_closed_elsewhere_has_expired(void) {
    static struct events thief_session;
    struct Stat stat;
    START(handle);
    clientid_t id = *zoo_client_id(handle);
    zhandle_t *thief = connect_to(servers, &thief_session, &id);
    CHECK(thief != NULL, "not connected");
    /* The two may take the session from each other for a while. */
    zookeeper_close(thief);
    if (!wait_until(&session.expired, 1)) {
        CHECK(0, "the first handle is not told, its state is %d", zoo_state(handle));
    }
    CHECK(is_unrecoverable(handle), "the handle can be used again");
    CHECK_CODE(zoo_exists(handle, "/", 0, &stat), ZINVALIDSTATE);
    zookeeper_close(handle);
    return NULL;
}

static const char *a_chroot_is_taken_off(void) {
    static struct events inside_session, seen;
    char path[256], hosts[1024], name[256], data[8];
    struct Stat stat;
    memset(&seen, 0, sizeof seen);
    START(outside);
    fresh_path(path, sizeof path, "chroot");
    CHECK_CODE(make(outside, path, ""), ZOK);
    snprintf(hosts, sizeof hosts, "%s%s", servers, path);
    zhandle_t *inside = connect_to(hosts, &inside_session, NULL);
    CHECK(inside != NULL, "not connected");
    CHECK_CODE(zoo_create(inside, "/a", "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, name, sizeof name), ZOK);
    CHECK(strcmp(name, "/a") == 0, "created %s", name);
    int length = sizeof data;
    CHECK_CODE(zoo_wget(inside, "/a", note_event, &seen, data, &length, &stat), ZOK);
    CHECK_CODE(zoo_set(inside, "/a", "y", 1, -1), ZOK);
    CHECK(wait_until(&seen.count, 1) && strcmp(seen.paths[0], "/a") == 0, "an event of %s", seen.paths[0]);
    zookeeper_close(inside);
    zookeeper_close(outside);
    return NULL;
}

static const char *the_config_is_read(void) {
    char data[4096];
    struct Stat stat;
    START(handle);
    int length = sizeof data - 1;
    CHECK_CODE(zoo_getconfig(handle, 0, data, &length, &stat), ZOK);
    data[length > 0 ? length : 0] = 0;
    char second[128];
    if (server_at(1, second, sizeof second)) {
        CHECK(strstr(data, "server.1=") != NULL && strstr(data, "version=") != NULL, "the config %s", data);
    }
    zookeeper_close(handle);
    return NULL;
}

static const struct named_case CASES[] = {
    {"create_read_change_delete", create_read_change_delete},
    {"errors_are_told_by_their_codes", errors_are_told_by_their_codes},
    {"names_are_numbered", names_are_numbered},
    {"containers_and_times_to_live", containers_and_times_to_live},
    {"big_data_comes_back", big_data_comes_back},
    {"children_are_listed", children_are_listed},
    {"watches_fire_once_with_type_and_path", watches_fire_once_with_type_and_path},
    {"watches_are_removed", watches_are_removed},
    {"multi_is_all_or_nothing", multi_is_all_or_nothing},
    {"answers_come_in_order", answers_come_in_order},
    {"what_one_wrote_another_reads_after_a_sync", what_one_wrote_another_reads_after_a_sync},
    {"digest_guards_a_znode", digest_guards_a_znode},
    {"a_session_outlives_its_process", a_session_outlives_its_process},
    {"a_session_that_was_closed_elsewhere_has_expired", a_session_that_was_closed_elsewhere_has_expired},
    {"a_chroot_is_taken_off", a_chroot_is_taken_off},
    {"the_config_is_read", the_config_is_read},
};

int main(int count, char **arguments) {
    const char *only = NULL;
    for (int i = 1; i + 1 < count; i++) {
        if (strcmp(arguments[i], "--connect") == 0) {
            servers = arguments[i + 1];
        } else if (strcmp(arguments[i], "--only") == 0) {
            only = arguments[i + 1];
        }
    }
    if (servers == NULL) {
        fprintf(stderr, "usage: --connect HOST:PORT,… [--only WORD]\n");
        return 2;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    printf("version: libzookeeper_mt %s\n", ZOO_VERSION);
    fflush(stdout);
    int failed = run_cases(CASES, (int)(sizeof CASES / sizeof CASES[0]), only);
    return failed == 0 ? 0 : 1;
}
