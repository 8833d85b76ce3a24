// A clock for the traces: every look at it is 10 milliseconds after the one before, whatever the machine's speed.
// Preloaded before the library under test, so that what decays with time decays at the same call in every run.
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec* time) {
  static long looks;
  (void)clock;
  ++looks;
  time->tv_sec = 1000 + looks / 100;
  time->tv_nsec = looks % 100 * 10000000;
  return 0;
}
