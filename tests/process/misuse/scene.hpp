// What the cases of a death test are made of: the pointer that the report must name, and other
// threads.
#pragma once

#include <cstdio>
#include <functional>
#include <pthread.h>
#include <semaphore.h>
#include <thread>
#include <unistd.h>

namespace scene {

// The pointer that the line on stderr must name.
inline void* name(void* p) {
    char text[32];
    const int n = snprintf(text, sizeof text, "%p\n", p);
    if (write(STDOUT_FILENO, text, static_cast<size_t>(n)) != n) _exit(3);
    return p;
}

// A thread that waits from the start of the process, so that handing work to it allocates nothing:
// a new thread's own objects could take the very block that a case has just freed.
class Helper {
  public:
    void start() {
        sem_init(&given_, 0, 0);
        sem_init(&done_, 0, 0);
        pthread_t thread;
        if (pthread_create(&thread, nullptr, &Helper::serve, this) != 0) _exit(5);
        run([] {});
    }
    void run(const std::function<void()>& job) {
        job_ = &job;
        sem_post(&given_);
        while (sem_wait(&done_) != 0) {
        }
    }

  private:
    static void* serve(void* self) {
        auto* helper = static_cast<Helper*>(self);
        for (;;) {
            while (sem_wait(&helper->given_) != 0) {
            }
            (*helper->job_)();
            sem_post(&helper->done_);
        }
    }
    sem_t given_, done_;
    const std::function<void()>* job_ = nullptr;
};
inline Helper helper;

inline void in_another_thread(const std::function<void()>& job) {
    helper.run(job);
}

inline void in_a_thread_that_ends(const std::function<void()>& job) {
    std::thread(job).join();
}

}  // namespace scene
