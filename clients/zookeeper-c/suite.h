/* Runs named cases and prints one line for each, in the form that all suites share. */
#ifndef OTTLA_SUITE_H
#define OTTLA_SUITE_H

#include <stdio.h>

/* A case returns NULL, or what went wrong. */
typedef const char *(*case_body)(void);

struct named_case {
    const char *name;
    case_body body;
};

/* Keeps the text of a failure until it is printed. */
const char *failure(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Ends a case unless the condition holds. */
#define CHECK(condition, ...)                                    \
    do {                                                         \
        if (!(condition)) {                                      \
            return failure(__FILE__, __LINE__, __VA_ARGS__);     \
        }                                                        \
    } while (0)

/* Ends a case unless a call answers the expected number. */
#define CHECK_CODE(call, expected)                                                            \
    do {                                                                                      \
        int code_ = (call);                                                                   \
        CHECK(code_ == (expected), "%s answered %d, not %d", #call, code_, (int)(expected));  \
    } while (0)

/* Runs the cases whose name contains `only`, or all of them; answers how many failed. */
int run_cases(const struct named_case *cases, int count, const char *only);

/* A path that no earlier run has used, in a buffer of the caller. */
void fresh_path(char *path, size_t size, const char *name);

/* Waits until a number that other threads change is at least `wanted`; answers whether it became so in 30 s. */
int wait_until(volatile int *number, int wanted);

#endif
