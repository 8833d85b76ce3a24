/* check_subject.c: tests that fail, crash and hang, on which test_check.py judges tests/check.h; as
 * a C program, and as a C++ one. */
#include <signal.h>
#include <sys/wait.h>

#ifdef __cplusplus
#    include "tests/check.hpp"
#else
#    include "tests/check.h"
#endif

static void passes(void) {}
static void fails(void) {
    fprintf(stderr, "something is wrong\n");
    check_failures += 1;
}
static void fails_too(void) {
    check_failures += 1;
}
static void crashes(void) {
    volatile int* const nothing = (volatile int*)(size_t)(check_seed & 0);
    *nothing = 1;
}
static void overflows_the_stack(void) {
    volatile char frame[4096];
    frame[0] = 1;
    if (check_seed != 0) overflows_the_stack();
    frame[1] = frame[0];
}
static void aborts(void) {
    abort();
}
static void hangs(void) {
    for (;;) pause();
}
/* A child's end is the test's own affair. */
static void has_a_child_that_dies(void) {
    int status = 0;
    const pid_t child = fork();
    if (child == 0) abort();
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) check_failures += 1;
}
static void says_its_seed(void) {
    printf("seed %llu\n", check_seed);
}

int main(int argc, char** argv) {
    static struct check_test tests[] = {CHECK_TEST(passes),
                                        CHECK_TEST(fails),
                                        CHECK_TEST(fails_too),
                                        CHECK_TEST(crashes),
                                        CHECK_TEST(overflows_the_stack),
                                        CHECK_TEST(aborts),
                                        CHECK_TEST(hangs),
                                        CHECK_TEST(has_a_child_that_dies),
                                        CHECK_TEST(says_its_seed)};
    (void)argc;
    return check_main(argv, check_chain(tests, sizeof tests / sizeof tests[0]), CHECK_TOGETHER, 2,
                      NULL);
}
