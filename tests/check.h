/* check.h: main() of a test program, for C; check.hpp adds what C++ has.
 *
 *   program [--only NAME]... [--except NAME]... [--seed N] | --list | --help
 *
 * NAME alone is short for --only NAME. A test that fails is named, and so is the one that runs when
 * the process dies by a signal or does not end; the last line is one that runs what failed again.
 * Nothing here allocates before a test runs, nor when the process dies. */
#pragma once

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
#    define CHECK_DATA inline
#    define CHECK_CALL inline
#else
#    define CHECK_DATA static
#    define CHECK_CALL static inline
#endif

struct check_test {
    const char* name;
    void (*body)(void);
    /* behind the name in the list: what the test's judge needs to know of it */
    const char* more;
    struct check_test* next;
};

/* A row of a table of tests: the function of this name. */
#define CHECK_TEST(function) {#function, function, NULL, NULL}

enum check_kind {
    CHECK_TOGETHER, /* the tests run one after the other in one process */
    CHECK_ALONE,    /* a run is one test */
    CHECK_DIES      /* a run is one test, and how it dies is looked at: no signal is caught */
};

/* The running test; the seed, for tests that draw; how often something was wrong. */
CHECK_DATA const char* check_running = "";
CHECK_DATA unsigned long long check_seed = 1;
CHECK_DATA unsigned long check_failures;

CHECK_DATA char check_path[PATH_MAX];
CHECK_DATA char check_line[4 * PATH_MAX];
CHECK_DATA size_t check_line_length;
CHECK_DATA pid_t check_process;
CHECK_DATA struct sigaction check_former[NSIG];

CHECK_CALL void check_say(const char* text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) _exit(3);
}

/* Adds to the line that reproduces; a word that a shell would not take as it is gets quotes. */
CHECK_CALL void check_add(const char* word, int is_quoted) {
    const size_t left = sizeof check_line - check_line_length;
    const int n = snprintf(check_line + check_line_length, left, is_quoted ? "'%s'" : "%s", word);
    if (n > 0 && (size_t)n < left) check_line_length += (size_t)n;
}
CHECK_CALL void check_add_word(const char* word) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:,=@%";
    check_add(word, word[strspn(word, plain)] != 0 || word[0] == 0);
}
CHECK_CALL void check_add_only(const char* name) {
    check_add(" --only ", 0);
    check_add_word(name);
}
/* The line without the tests, and then with its end. */
CHECK_CALL void check_begin_line(void) {
    static const char* const variables[] = {"LD_PRELOAD", "HAKMEM_OPTIONS", "HAKMEM_MODE"};
    check_line_length = 0;
    check_line[0] = 0;
    check_add("reproduce: ", 0);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; ++i) {
        const char* const value = getenv(variables[i]);
        if (value == NULL) continue;
        check_add(variables[i], 0);
        check_add("=", 0);
        check_add_word(value);
        check_add(" ", 0);
    }
    check_add_word(check_path);
}
CHECK_CALL void check_end_line(void) {
    char seed[40];
    snprintf(seed, sizeof seed, " --seed %llu\n", check_seed);
    check_add(seed, 0);
}

CHECK_CALL const char* check_name_of(int number) {
    return number == SIGSEGV   ? "SIGSEGV"
           : number == SIGBUS  ? "SIGBUS"
           : number == SIGFPE  ? "SIGFPE"
           : number == SIGILL  ? "SIGILL"
           : number == SIGTRAP ? "SIGTRAP"
           : number == SIGSYS  ? "SIGSYS"
                               : "SIGABRT";
}

/* The signal goes on to whom it went before: to the system, or to a sanitizer, which sees a fault
 * again when the instruction is run once more. A child of the test is the test's own affair. */
CHECK_CALL void check_on_signal(int number, siginfo_t* info, void* context) {
    (void)context;
    const int error = errno;
    if (getpid() == check_process) {
        check_say("FAIL ");
        check_say(check_running);
        check_say(number == SIGALRM ? ": does not end" : ": dies by ");
        if (number != SIGALRM) check_say(check_name_of(number));
        check_say("\n");
        check_say(check_line);
    }
    sigaction(number, &check_former[number], NULL);
    const int is_fault =
        number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL;
    if (!is_fault || info->si_code <= 0) raise(number);
    errno = error;
}

CHECK_CALL void check_catch_signals(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,
                                  SIGTRAP, SIGSYS, SIGABRT, SIGALRM};
    static char stack[64 * 1024];
    stack_t had;
    memset(&had, 0, sizeof had);
    if (sigaltstack(NULL, &had) == 0 && (had.ss_flags & SS_DISABLE) != 0) {
        had.ss_sp = stack;
        had.ss_size = sizeof stack;
        had.ss_flags = 0;
        sigaltstack(&had, NULL);
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = check_on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; ++i)
        sigaction(numbers[i], &action, &check_former[numbers[i]]);
}

/* Whether argv[i] is an option with a value or a test's name; moves i to the value. 0: neither. */
CHECK_CALL const char* check_option(char** argv, int* i) {
    const char* const word = argv[*i];
    if (word[0] != '-') return "--only";
    if (strcmp(word, "--only") != 0 && strcmp(word, "--except") != 0 && strcmp(word, "--seed") != 0)
        return NULL;
    if (argv[*i + 1] == NULL) return NULL;
    ++*i;
    return word;
}

CHECK_CALL int check_wants(char** argv, const char* name) {
    int wants = -1;
    for (int i = 1; argv[i] != NULL; ++i) {
        const char* const option = check_option(argv, &i);
        if (strcmp(option, "--only") == 0) {
            if (wants < 0) wants = 0;
            if (strcmp(argv[i], name) == 0) wants = 1;
        }
    }
    for (int i = 1; argv[i] != NULL; ++i) {
        const char* const option = check_option(argv, &i);
        if (strcmp(option, "--except") == 0 && strcmp(argv[i], name) == 0) wants = 0;
    }
    return wants != 0;
}

CHECK_CALL int check_usage(const char* program, FILE* to) {
    fprintf(to,
            "usage: %s [--only NAME]... [--except NAME]... [--seed N]\n"
            "       %s --list | --help\n"
            "  --only NAME    runs this test alone; may be given again; NAME is short for it\n"
            "  --except NAME  runs the others\n"
            "  --seed N       for what the tests draw (%llu)\n",
            program, program, check_seed);
    return to == stdout ? 0 : 2;
}

/* What is asked for: -1 to run tests, else the exit status. */
CHECK_CALL int check_parse(char** argv, const struct check_test* tests) {
    const struct check_test* t;
    for (int i = 1; argv[i] != NULL; ++i) {
        if (strcmp(argv[i], "--help") == 0) return check_usage(argv[0], stdout);
        if (strcmp(argv[i], "--list") == 0) {
            for (t = tests; t != NULL; t = t->next)
                printf(t->more == NULL ? "%s\n" : "%s\t%s\n", t->name, t->more);
            return 0;
        }
        const char* const option = check_option(argv, &i);
        if (option == NULL) {
            fprintf(stderr, "%s: %s?\n", argv[0], argv[i]);
            return check_usage(argv[0], stderr);
        }
        if (strcmp(option, "--seed") == 0) {
            char* end = NULL;
            errno = 0;
            check_seed = strtoull(argv[i], &end, 10);
            if (errno == 0 && *end == 0 && argv[i][0] >= '0' && argv[i][0] <= '9') continue;
            fprintf(stderr, "%s: %s is no seed\n", argv[0], argv[i]);
            return check_usage(argv[0], stderr);
        }
        for (t = tests; t != NULL && strcmp(t->name, argv[i]) != 0;) t = t->next;
        if (t == NULL) {
            fprintf(stderr, "%s: no test is called %s; --list names them\n", argv[0], argv[i]);
            return 2;
        }
    }
    return -1;
}

/* Chains an array. */
CHECK_CALL struct check_test* check_chain(struct check_test* tests, size_t count) {
    for (size_t i = 0; i + 1 < count; ++i) tests[i].next = &tests[i + 1];
    return count == 0 ? NULL : tests;
}

/* The exit status: 0, 1 if a test failed, 2 for wrong arguments. A test that is not done after so
 * many seconds is ended; 0 is for ever. `call`, unless it is null, calls a test's body. */
CHECK_CALL int check_main(char** argv, struct check_test* tests, enum check_kind kind,
                          unsigned seconds, void (*call)(const struct check_test*)) {
    if (readlink("/proc/self/exe", check_path, sizeof check_path - 1) < 0)
        snprintf(check_path, sizeof check_path, "%s", argv[0]);
    const int status = check_parse(argv, tests);
    if (status >= 0) return status;
    struct check_test* t;
    unsigned wanted = 0, failed = 0;
    for (t = tests; t != NULL; t = t->next) wanted += check_wants(argv, t->name) ? 1 : 0;
    if (wanted == 0 || (kind != CHECK_TOGETHER && wanted != 1)) {
        fprintf(stderr, "%s: %s\n", argv[0],
                kind == CHECK_TOGETHER ? "no test is left" : "a run is one test: --only NAME");
        return check_usage(argv[0], stderr);
    }
    check_process = getpid();
    if (kind != CHECK_DIES) check_catch_signals();
    static char failed_line[sizeof check_line];
    for (t = tests; t != NULL; t = t->next) {
        if (!check_wants(argv, t->name)) continue;
        const unsigned long before = check_failures;
        check_running = t->name;
        check_begin_line();
        check_add_only(t->name);
        check_end_line();
        alarm(seconds);
        if (call != NULL)
            call(t);
        else
            t->body();
        alarm(0);
        if (check_failures == before) continue;
        fprintf(stderr, "FAIL %s\n", t->name);
        check_begin_line();
        if (failed++ != 0) memcpy(check_line, failed_line, check_line_length = strlen(failed_line));
        check_add_only(t->name);
        memcpy(failed_line, check_line, check_line_length);
        failed_line[check_line_length] = 0;
    }
    check_running = "the end of the process";
    if (kind == CHECK_TOGETHER) {
        printf("%u tests, %u failed\n", wanted, failed);
        fflush(stdout);
    }
    if (failed == 0) return 0;
    memcpy(check_line, failed_line, (check_line_length = strlen(failed_line)) + 1);
    check_end_line();
    check_say(check_line);
    return 1;
}
