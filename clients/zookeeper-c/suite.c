#include "suite.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CASE_SECONDS_MAX 120

static char failure_text[1024];

const char *failure(const char *file, int line, const char *format, ...) {
    va_list arguments;
    int length = snprintf(failure_text, sizeof failure_text, "%s:%d: ", file, line);
    va_start(arguments, format);
    vsnprintf(failure_text + length, sizeof failure_text - (size_t)length, format, arguments);
    va_end(arguments);
    return failure_text;
}

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int run_cases(const struct named_case *cases, int count, const char *only) {
    int failed = 0;
    for (int i = 0; i < count; i++) {
        if (only != NULL && strstr(cases[i].name, only) == NULL) {
            continue;
        }
        /* A case that hangs ends the whole program, which counts as a failure. */
        alarm(CASE_SECONDS_MAX);
        double begun = now_seconds();
        const char *wrong = cases[i].body();
        alarm(0);
        double seconds = now_seconds() - begun;
        if (wrong == NULL) {
            printf("case %s: ok (%.1f s)\n", cases[i].name, seconds);
        } else if (strncmp(wrong, "not run", 7) == 0) {
            printf("case %s: %s\n", cases[i].name, wrong);
        } else {
            printf("case %s: FAILED (%.1f s)\n    %s\n", cases[i].name, seconds, wrong);
            failed++;
        }
        fflush(stdout);
    }
    return failed;
}

void fresh_path(char *path, size_t size, const char *name) {
    static int number;
    struct timeval now;
    gettimeofday(&now, NULL);
    snprintf(path, size, "/c-%s-%lx%05lx-%d-%d", name, (long)now.tv_sec, (long)now.tv_usec, (int)getpid(), number++);
}

int wait_until(volatile int *number, int wanted) {
    for (int turn = 0; turn < 3000; turn++) {
        if (__atomic_load_n(number, __ATOMIC_SEQ_CST) >= wanted) {
            return 1;
        }
        usleep(10000);
    }
    return 0;
}
